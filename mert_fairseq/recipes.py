"""The command mert-config: where the recipes are, in a checkout and in an installed package."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mert_fairseq.arguments import Help
from mert_fairseq.jobs.command import run_command

DESCRIPTION = """Print a folder of recipes, for --config-dir.

    fairseq-hydra-train --config-dir $(mert-config pretrain) --config-name tiny task.data=$PWD/data/mine
    mert-config pretrain --list"""
KINDS = ("pretrain", "genre")


def recipe_dir(kind: str) -> Path:
    """The absolute folder of the recipes of one kind, ``pretrain`` or ``genre``.

    Raises:
        FileNotFoundError: if this installation has none.
    """
    package = Path(__file__).resolve().parent
    folders = [package / "config" / kind, package.parent / "config" / kind]
    for folder in folders:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"found neither {folders[0]} nor {folders[1]}, expected the recipes in one of them. Install mert_fairseq again."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the folder, or its recipes; returns the exit status."""
    options = parser().parse_args(arguments)

    def show() -> str:
        folder = recipe_dir(options.kind)
        return "\n".join(sorted(path.stem for path in folder.glob("*.yaml"))) if options.list else str(folder)

    return run_command("mert-config", show)


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="mert-config", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("kind", nargs="?", choices=KINDS, default="pretrain", help="kind of recipes")
    options.add_argument("--list", action="store_true", help="print the names for --config-name")
    return options


if __name__ == "__main__":
    sys.exit(main())
