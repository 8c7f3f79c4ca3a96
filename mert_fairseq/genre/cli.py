"""The command mert-genre. Each subcommand is a module with ``add_parser``."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

from mert_fairseq.arguments import Help
from mert_fairseq.jobs.command import quiet_libraries

SUBCOMMANDS = {  # name -> module
    "check": "mert_fairseq.genre.check",
    "baselines": "mert_fairseq.genre.features.baselines",
    "report": "mert_fairseq.genre.report",
    "predict": "mert_fairseq.genre.audio.predict",
}

DESCRIPTION = """Classify music by genre: predict, test, report.

    mert-genre predict exp/mert_finetune/checkpoint_best.pt song.mp3
    mert-genre COMMAND --help"""


def parser(names: Iterable[str] = SUBCOMMANDS) -> argparse.ArgumentParser:
    """Build the parser for the named subcommands. Importing their modules takes seconds."""
    options = argparse.ArgumentParser(prog="mert-genre", description=DESCRIPTION, formatter_class=Help)
    subparsers = options.add_subparsers(required=True, metavar="command")
    for name in names:
        import_module(SUBCOMMANDS[name]).add_parser(subparsers)
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit status: 0, 1 for invalid data, 2 for invalid options."""
    quiet_libraries()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    named = [name for name in SUBCOMMANDS if arguments[:1] == [name]]
    chosen = parser(named or SUBCOMMANDS).parse_args(arguments)
    try:
        return chosen.run(chosen)
    except (ValueError, KeyError, OSError) as error:
        print(f"mert-genre: {error.args[0] if isinstance(error, KeyError) else error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
