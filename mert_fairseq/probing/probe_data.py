"""Labelled clips in three splits: the data of a probe task."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mert_fairseq.files import write_lines

SPLITS = ("train", "valid", "test")
SHOWN = 3  # examples in a message


@dataclass(frozen=True)
class Clip:
    """One labelled excerpt of a file.

    Attributes:
        id: unique in the data set.
        path: of the audio, relative to the data set's folder.
        target: what the task's objective encodes: a class name, tags, numbers or times.
        song: clips of one song are scored together; empty if the clip is scored alone. For a changed copy of
            a test clip, the unit of the original.
        start_seconds: where the excerpt begins.
        seconds: its length; None for the rest of the file.
    """

    id: str
    path: str
    target: Any
    song: str = ""
    start_seconds: float = 0.0
    seconds: float | None = None

    @property
    def unit(self) -> str:
        """The unit of scoring: the song, or the clip."""
        return self.song or self.id


@dataclass(frozen=True)
class ProbeData:
    """A data set as a task reads it.

    Attributes:
        folder: clip paths are relative to it.
        names: of the classes, tags or values, in the order of the head's outputs.
        clips: by split.
        left_out: by id, why a listed clip is not used.
        copies: changed copies of test clips (with noise, in another key, ...) by the kind of change; heads that were
            trained and chosen without them are tested on them as well.

    Raises:
        ValueError: if a split is empty, an id occurs twice, or a song or clip is in two splits.
    """

    folder: Path
    names: tuple[str, ...]
    clips: dict[str, list[Clip]]
    left_out: dict[str, str] = field(default_factory=dict)
    copies: dict[str, list[Clip]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for split in SPLITS:
            if not self.clips.get(split):
                raise ValueError(
                    f"{self.folder}: found no clips in the split {split}, expected some in each of {', '.join(SPLITS)}."
                    f" Check the data set's lists (mert-probe check)."
                )
        counts = Counter(clip.id for clips in self.parts.values() for clip in clips)
        if double := [name for name, count in counts.items() if count > 1]:
            raise ValueError(
                f"{self.folder}: found clip {double[0]} {counts[double[0]]} times (and {len(double) - 1} more), "
                f"expected each once, in one split. Check the split lists."
            )
        seen_in: dict[str, str] = {}
        for split in SPLITS:
            for clip in self.clips[split]:
                if seen_in.setdefault(clip.unit, split) != split:
                    raise ValueError(
                        f"{self.folder}: found {clip.unit} in the splits {seen_in[clip.unit]} and {split}, expected "
                        f"all clips of a song in one. Check the split lists."
                    )

    @property
    def parts(self) -> dict[str, list[Clip]]:
        """Train, valid, test, and then each kind of changed copies."""
        return {**{split: self.clips[split] for split in SPLITS}, **self.copies}

    @property
    def sizes(self) -> dict[str, int]:
        """Clips in each split."""
        return {split: len(self.clips[split]) for split in SPLITS}

    @property
    def songs(self) -> dict[str, int]:
        """Units of scoring in each split."""
        return {split: len({clip.unit for clip in self.clips[split]}) for split in SPLITS}

    def files(self) -> list[str]:
        """Paths of the audio (folders of stems, for separation), each once, in order."""
        return list(dict.fromkeys(clip.path for clips in self.parts.values() for clip in clips))

    def check_files(self) -> None:
        """Check that the audio exists.

        Raises:
            FileNotFoundError: names the first missing file and how many are missing.
        """
        files = self.files()
        if missing := [path for path in files if not (self.folder / path).exists()]:
            raise FileNotFoundError(
                f"{self.folder}: {len(missing)} of {len(files)} audio files are missing, the first is {missing[0]}. "
                f"mert-probe check lists them all and says where to get them."
            )

    def write_splits(self, folder: Path) -> None:
        """Write ``train.txt``, ``valid.txt`` and ``test.txt``: one clip id per line, so that others can use them."""
        folder.mkdir(parents=True, exist_ok=True)
        for split in SPLITS:
            write_lines(folder / f"{split}.txt", (clip.id for clip in self.clips[split]))

    def resplit(self, folder: Path) -> "ProbeData":
        """The same clips, split by the user's lists, in the format of :meth:`write_splits`.

        Raises:
            FileNotFoundError: if a list is missing.
            ValueError: if a list names a clip that the data set does not have.
        """
        known = {clip.id: clip for split in SPLITS for clip in self.clips[split]}
        clips = {}
        for split in SPLITS:
            path = folder / f"{split}.txt"
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such split list. Expected train.txt, valid.txt and test.txt.")
            wanted = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
            if unknown := [name for name in wanted if name not in known]:
                raise ValueError(
                    f"{path}: names {len(unknown)} clips that {self.folder} does not have, the first is {unknown[0]!r}."
                    f" Expected ids such as {next(iter(known))!r}, one per line; mert-probe splits writes such lists."
                )
            clips[split] = [known[name] for name in wanted]
        return self._with_clips(clips)

    def limited(self, clips: int) -> "ProbeData":
        """At most so many clips of each split: those whose ids have the smallest SHA-1, in the old order."""
        kept = {}
        for split in SPLITS:
            order = sorted(self.clips[split], key=lambda clip: sha1_number(clip.id))
            chosen = {clip.id for clip in order[:clips]}
            kept[split] = [clip for clip in self.clips[split] if clip.id in chosen]
        return self._with_clips(kept)

    def _with_clips(self, clips: dict[str, list[Clip]]) -> "ProbeData":
        """Other clips of the same data set, with the copies of those that are tested."""
        tested = {clip.unit for clip in clips["test"]}
        copies = {name: [clip for clip in group if clip.unit in tested] for name, group in self.copies.items()}
        return ProbeData(
            self.folder, self.names, clips, self.left_out, {k: group for k, group in copies.items() if group}
        )


def class_names(targets: Iterable[str], expected: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Check class labels against those that the data set has.

    Raises:
        ValueError: names the first unknown label.
    """
    for target in targets:
        if target not in expected:
            raise ValueError(f"{where}: found the label {target!r}, expected one of {', '.join(expected)}.")
    return expected


def sha1_number(text: str) -> int:
    """SHA-1 of UTF-8 text as an integer."""
    return int(hashlib.sha1(text.encode("utf-8"), usedforsecurity=False).hexdigest(), 16)


def plain_name(artist: str) -> str:
    """Lower case, ASCII letters and blanks only, blanks collapsed."""
    letters = re.sub(r"[^a-z ]", "", artist.lower())
    return re.sub(r" +", " ", letters).strip()
