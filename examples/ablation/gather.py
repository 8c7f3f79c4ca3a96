"""Gather the music to pretrain on as links in one folder: recordings, and the training clips of rendered scores.

    python examples/ablation/gather.py --audio ~/Music --scores exp/ablation/scores --out exp/ablation/music

OUT/recordings/PIECE/FILE links to each file of --audio, OUT/scores/PIECE/FILE to clips of the training split of each
set (a folder with manifest.jsonl) in --scores. A folder holds one piece, so `make_manifest.py --group-by folder` keeps
all versions of a piece in one split. Labels of the sets are not used.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mert_fairseq.jobs.command import FROM_THE_BEGINNING, run_command
from mert_fairseq.preprocessing.signatures import DECODABLE

SUFFIXES = frozenset().union(*DECODABLE.values())


def recordings(folder: Path, every: int) -> Iterator[tuple[str, Path]]:
    """Yield piece and file of every n-th music file, in order of the path; each file is a piece of its own.

    Raises:
        ValueError: if the folder has no music file.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(
            f"{folder}: no music file ({', '.join(sorted(SUFFIXES))}). Give --audio the folder of your music."
        )
    for path in files[::every]:
        yield path.relative_to(folder).with_suffix("").as_posix(), path


def score_clips(folder: Path, versions: int) -> Iterator[tuple[str, Path]]:
    """Yield piece and file of the training clips of each set in a folder, at most so many versions of a piece.

    Raises:
        ValueError: if there is no set.
    """
    manifests = sorted(folder.glob("*/manifest.jsonl"))
    if not manifests:
        raise ValueError(f"{folder}: no set (SET/manifest.jsonl). Make the sets with examples/ablation/render.py.")
    taken: dict[str, int] = {}
    for manifest in manifests:
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            piece = f"{manifest.parent.name}_{row.get('piece', row['path'])}"
            if row["split"] == "train" and taken.get(piece, 0) < versions:
                taken[piece] = taken.get(piece, 0) + 1
                yield piece, manifest.parent / row["path"]


def link(clips: Iterator[tuple[str, Path]], out: Path) -> int:
    """Link each clip as OUT/PIECE/FILE; the piece's slashes become underscores. Returns the number of clips."""
    count = 0
    for piece, path in clips:
        folder = out / piece.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path.resolve())
        count += 1
    return count


def clear(out: Path) -> None:
    """Delete the links of an earlier run.

    Raises:
        ValueError: if the folder holds anything else.
    """
    if not out.exists():
        return
    if any(not path.is_symlink() and not path.is_dir() for path in out.rglob("*")):
        raise ValueError(f"{out}: holds files that are no links, and this script replaces it. Give --out a new folder.")
    shutil.rmtree(out)


def gather(arguments: argparse.Namespace) -> str:
    """Replace OUT by the links that the arguments ask for; returns what was linked."""
    clear(arguments.out)
    done = []
    if arguments.audio:
        count = link(recordings(arguments.audio, arguments.every), arguments.out / "recordings")
        done.append(f"{count} recordings of {arguments.audio}")
    if arguments.scores:
        count = link(score_clips(arguments.scores, arguments.versions), arguments.out / "scores")
        done.append(f"{count} training clips of {arguments.scores}")
    return "\n".join(done)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="folder of recordings, searched to any depth")
    parser.add_argument("--scores", type=Path, help="folder of sets of rendered clips, each with manifest.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="folder of links; replaced")
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording (default 1)")
    parser.add_argument("--versions", type=int, default=1, help="clips of a piece to take (default 1)")
    arguments = parser.parse_args()
    return run_command("gather.py", lambda: gather(arguments), FROM_THE_BEGINNING)


if __name__ == "__main__":
    sys.exit(main())
