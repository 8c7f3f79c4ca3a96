"""Which tracks sound alike: the nearest neighbours of mean features, as a page to read and listen to.

    mert-extract demo/run/checkpoint_last.pt demo/music --out demo/means --mean file
    python examples/use/neighbours.py demo/means --layer 2

Tracks are compared by the cosine of their means over time, each dimension standardised over the tracks. Writes
DIR/neighbours/index.html and neighbours.tsv.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from mert_fairseq.arguments import Help, positive_int
from mert_fairseq.files import write_lines
from mert_fairseq.reporting.page import Page

INDEX_FILE, JOURNAL_FILE = "index.tsv", "extract.jsonl"  # of mert-extract


class Means(NamedTuple):
    """One vector per track.

    Attributes:
        names: of the tracks, relative to ``audio``.
        vectors: (tracks, width) float32.
        layer: that they are from.
        audio: folder of the tracks.
    """

    names: list[str]
    vectors: np.ndarray
    layer: int
    audio: Path


class Neighbour(NamedTuple):
    """A near track and its cosine; 1 means the same direction."""

    name: str
    cosine: float


def read_means(folder: Path, layer: int | None = None) -> Means:
    """Read what ``mert-extract --mean file`` wrote.

    Args:
        folder: its --out.
        layer: one of those that were stored; None for the middle one.

    Raises:
        FileNotFoundError: if the folder holds no features.
        ValueError: if they are no means per file, fewer than 3 tracks, or do not have the layer.
    """
    index, journal = folder / INDEX_FILE, folder / JOURNAL_FILE
    if not index.is_file() or not journal.is_file():
        raise FileNotFoundError(
            f"{folder}: holds no features. Run mert-extract MODEL AUDIO --out {folder} --mean file."
        )
    with index.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    if any(row["rate"] != "file" or not row["features"].endswith(".npy") for row in rows):
        raise ValueError(f"{index}: found other features than one mean per file. Run mert-extract with --mean file.")
    if len(rows) < 3:
        raise ValueError(f"{index}: found {len(rows)} tracks, expected at least 3 to compare.")
    stored = [int(number) for number in rows[0]["layers"].split(",")]
    chosen = stored[len(stored) // 2] if layer is None else layer
    if chosen not in stored:
        raise ValueError(f"{index}: found layers {rows[0]['layers']}, expected layer {chosen}. Give one that is there.")
    vectors = np.stack([np.load(folder / row["features"])[stored.index(chosen)] for row in rows])
    audio = json.loads(journal.read_text(encoding="ascii").partition("\n")[0])["audio"]
    return Means([row["file"] for row in rows], vectors, chosen, Path(audio))


def similarities(vectors: np.ndarray) -> np.ndarray:
    """Cosines of all pairs, (tracks, tracks), after each dimension has zero mean and unit deviation over the tracks."""
    deviation = vectors.std(axis=0)
    standardised = (vectors - vectors.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    norms = np.linalg.norm(standardised, axis=1, keepdims=True)
    directions = standardised / np.where(norms > 0, norms, 1.0)
    return directions @ directions.T


def nearest(names: Sequence[str], cosines: np.ndarray, top: int) -> dict[str, list[Neighbour]]:
    """The ``top`` nearest other tracks of each, nearest first."""
    others = cosines - 3 * np.eye(len(names))  # itself comes last
    order = np.argsort(-others, axis=1, kind="stable")[:, : min(top, len(names) - 1)]
    return {
        name: [Neighbour(names[place], float(cosines[row, place])) for place in order[row]]
        for row, name in enumerate(names)
    }


def agreement(found: dict[str, list[Neighbour]], group: Callable[[str], str]) -> tuple[int, int, float] | None:
    """How many tracks have their nearest neighbour in their own group.

    Args:
        found: neighbours by track.
        group: of a track's name.

    Returns:
        Such tracks, tracks whose group holds another, and the share that a random neighbour would give; None if no
        group holds two tracks, or one holds all.
    """
    groups = [group(name) for name in found]
    sizes = [groups.count(one) for one in groups]
    shared = [name for name, size in zip(found, sizes, strict=True) if size > 1]
    if not shared or len(set(groups)) == 1:
        return None
    same = sum(group(found[name][0].name) == group(name) for name in shared)
    chance = sum(size - 1 for size in sizes if size > 1) / len(shared) / (len(found) - 1)
    return same, len(shared), chance


def folder_of(name: str) -> str:
    """The folder of a track."""
    return str(PurePosixPath(name).parent)


def stem_of(name: str) -> str:
    """The name of a track without folder and extension."""
    return PurePosixPath(name).stem


def findings(found: dict[str, list[Neighbour]]) -> list[str]:
    """What the neighbours have in common, a sentence each."""
    lines = []
    for group, what in ((folder_of, "lies in the same folder"), (stem_of, "has the same file name")):
        if (counted := agreement(found, group)) is not None:
            same, tracks, chance = counted
            lines.append(
                f"The nearest track {what} for {same} of {tracks} tracks ({same / tracks:.0%}; by chance {chance:.0%})."
            )
    return lines


def write_page(folder: Path, means: Means, found: dict[str, list[Neighbour]]) -> Path:
    """Write the page, with players for the tracks that still exist; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = Page("Which tracks sound alike")
    page.paragraph(f"{len(means.names)} tracks, means over time of layer {means.layer}, cosine after standardising.")
    for line in findings(found):
        page.paragraph(line)
    for name, neighbours in found.items():
        page.heading(name)
        listed = [Neighbour(name, 1.0), *neighbours]
        page.sounds(
            [(f"{one.cosine:.2f}  {one.name}", f"file://{quote(str(means.audio / one.name))}") for one in listed]
        )
    rows = [
        f"{name}\t{rank}\t{one.name}\t{one.cosine:.4f}" for name in found for rank, one in enumerate(found[name], 1)
    ]
    write_lines(folder / "neighbours.tsv", ["track\trank\tneighbour\tcosine", *rows])
    return page.write(folder)


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="neighbours.py", description=__doc__, formatter_class=Help)
    options.add_argument("features", type=Path, help="the --out of mert-extract --mean file")
    options.add_argument("--layer", type=int, help="of those stored (default: the middle one)")
    options.add_argument("--top", type=positive_int, default=3, help="neighbours per track")
    options.add_argument("--out", type=Path, help="folder of the page (default: neighbours in the folder of features)")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print, write the page; returns the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        means = read_means(chosen.features, chosen.layer)
        found = nearest(means.names, similarities(means.vectors), chosen.top)
        page = write_page(chosen.out or chosen.features / "neighbours", means, found)
    except (ValueError, OSError) as error:
        print(f"neighbours.py: {error}", file=sys.stderr)
        return 1
    width = max(map(len, found))
    for name, neighbours in found.items():
        print(f"{name:<{width}}  {neighbours[0].cosine:5.2f}  {neighbours[0].name}")
    print("\n".join(["", *findings(found), str(page)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
