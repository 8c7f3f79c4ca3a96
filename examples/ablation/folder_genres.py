"""Write genres.tsv for a folder of music: a file's class is the folder that it is in, and a rule divides the files.

    python examples/ablation/folder_genres.py ~/Music data/mine/genres.tsv

Of each class, in order of the path, the third of every five files is for validation, the fifth for the test, and the
others for training. --fold 1 to 4 moves this along by so many files, so that five folds test each file once. Files of
one album share composer, instruments and mastering: such classes are easier than genres.
"""

import argparse
import sys
from pathlib import Path

from gather import SUFFIXES

from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command

PERIOD = ("train", "train", "valid", "train", "test")


def rows(folder: Path, fold: int = 0) -> list[tuple[str, str, str]]:
    """Path, class and split of each music file below the folders of a folder.

    Raises:
        ValueError: if there are fewer than two classes with a test file.
    """
    classes: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.parent != folder:
            name = path.relative_to(folder)
            classes.setdefault(name.parts[0], []).append(name.as_posix())
    whole = {name: paths for name, paths in classes.items() if len(paths) >= len(PERIOD)}
    if len(whole) < 2:
        raise ValueError(
            f"{folder}: found {len(whole)} folders with at least {len(PERIOD)} music files, expected two or more. "
            f"Put the music of each class into a folder of its own."
        )
    return [
        (path, name, PERIOD[(number + fold) % len(PERIOD)])
        for name, paths in whole.items()
        for number, path in enumerate(paths)
    ]


def write(folder: Path, out: Path, fold: int = 0) -> str:
    """Write the table; returns what is in it."""
    table = rows(folder, fold)
    out.write_text("path\tgenre\tsplit\n" + "".join("\t".join(row) + "\n" for row in table), encoding="utf-8")
    counts = ", ".join(f"{split} {sum(row[2] == split for row in table)}" for split in ("train", "valid", "test"))
    return f"{out}: {len({name for _, name, _ in table})} classes, files: {counts}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="genres.tsv")
    parser.add_argument("--fold", type=int, default=0, choices=range(len(PERIOD)), help="of five (default 0)")
    arguments = parser.parse_args()
    return run_command(
        "folder_genres.py", lambda: write(arguments.folder, arguments.out, arguments.fold), FROM_THE_BEGINNING
    )


if __name__ == "__main__":
    sys.exit(main())
