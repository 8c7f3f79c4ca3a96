"""The command mert-genre; each subcommand is a module with ``add_parser``."""

import argparse
import logging
import sys
from collections.abc import Sequence

from mert_fairseq.genre import baselines, check, report

SUBCOMMANDS = (check, baselines, report)


def parser() -> argparse.ArgumentParser:
    """The options of all subcommands."""
    options = argparse.ArgumentParser(prog="mert-genre", description="Classify music by genre: tests and reports.")
    subparsers = options.add_subparsers(required=True, metavar="command")
    for module in SUBCOMMANDS:
        module.add_parser(subparsers)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns its exit status: 0, 1 for wrong data, 2 for wrong options."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    chosen = parser().parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, KeyError, OSError) as error:
        print(f"mert-genre: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
