"""Folders of labelled audio with one manifest.jsonl: a line per clip with path, split and labels.

Such folders come from rendered scores, whose labels are known by construction, or from your own data. A line with
the fields "copy" (what was changed, such as "noise_20db") and "of" (a path) is a changed copy of that test clip.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import BeatObjective, ChordObjective, ClassObjective, KeyObjective, Objective
from mert_fairseq.probing.objectives.chords import CHORDS
from mert_fairseq.probing.objectives.keys import KEYS
from mert_fairseq.probing.probe_data import SPLITS, Clip, ProbeData, class_names
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

MANIFEST = "manifest.jsonl"


class Kind(NamedTuple):
    """What a manifest's labels are.

    Attributes:
        fields: of a line.
        metrics: the first is the main one.
        frames: whether each frame has a label.
        target: of the fields' values, the target of the objective.
    """

    fields: tuple[str, ...]
    metrics: tuple[str, ...]
    frames: bool
    target: Callable[..., Any]


def _beats(beats: list[Any], downbeats: list[Any]) -> dict[str, list[float]]:
    return {"beat": list(map(float, beats)), "downbeat": list(map(float, downbeats))}


def _chords(chords: list[Any]) -> list[tuple[float, float, str]]:
    return [(float(start), float(end), str(chord)) for start, end, chord in chords]


BEATS = Kind(("beats", "downbeats"), ("beat_f", "beat_f_peaks", "downbeat_f", "downbeat_f_peaks"), True, _beats)
# slow bars last longer than the slowest one of the network, so picked peaks come first
DOWNBEATS = BEATS._replace(metrics=("downbeat_f_peaks", "downbeat_f"))
CHORD_FRAMES = Kind(("chords",), ("accuracy", "macro_f1"), True, _chords)
KEY = Kind(("key",), ("weighted_score", "accuracy"), False, str)


def classes(field: str) -> Kind:
    """A class per clip, from one field."""
    return Kind((field,), ("accuracy", "macro_f1"), False, str)


class ManifestTask(ProbeTask):
    """Labels from manifest.jsonl. Models and baselines are treated alike: mean and deviation, standardised.

    Args:
        name: on the command line.
        folder: of the data set, below the folder of all data sets.
        what: for titles.
        kind: of the labels.
        quick_clips: of each split under the quick protocol.
    """

    standardize = True

    def __init__(self, name: str, folder: str, what: str, kind: Kind, quick_clips: int = 200) -> None:
        self.name, self.folder, self.kind, self.metrics = name, folder, kind, kind.metrics
        self.quick_clips = quick_clips
        self.title = f"{folder.capitalize()}: {what}"
        # the level of a rendering says nothing; the last second of a rendering is its echo alone
        self.windows = Windows(
            seconds=None if kind.frames else 30.0,
            shortest_seconds=5.0,
            peak=True,
            frames=kind.frames,
            statistics=not kind.frames,
        )
        self.crop_seconds = 10.0 if kind.frames else None
        self.card = DataCard(
            title=self.title,
            url="a folder of your own",
            licence="as the music's",
            citation="none",
            layout={
                MANIFEST: f"one JSON object per clip: path, split (train, valid, test), {', '.join(kind.fields)}, "
                "perhaps piece; of changed copies of test clips also copy and of",
                "*.wav": "the audio",
            },
            how="Render scores with examples/ablation/render.py, or write the manifest for labelled music of your own.",
            may_copy=True,
        )

    def has_data(self, data: Path) -> bool:
        """Whether the first line has the labels; a manifest that cannot be read is left to ``read``."""
        path = data / MANIFEST
        if not path.is_file():
            return data.is_dir()
        with path.open(encoding="utf-8") as file:
            try:
                return set(self.kind.fields) <= json.loads(file.readline()).keys()
            except (ValueError, AttributeError):
                return True

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        path = self.needed(data, MANIFEST)
        clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
        copies: dict[str, list[Clip]] = {}
        split_of_piece: dict[str, str] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                file, split = str(row["path"]), row["split"]
                target = self.kind.target(*(row[field] for field in self.kind.fields))
                copy, original = row.get("copy", ""), str(row["of"]) if row.get("copy") else ""
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                wanted = f"a JSON object with path, split and {' and '.join(self.kind.fields)}"
                raise ValueError(f"{path}:{number}: cannot be read ({error!r}), expected {wanted}.") from error
            if split not in SPLITS:
                raise ValueError(f"{path}:{number}: found the split {split!r}, expected one of {', '.join(SPLITS)}.")
            piece = str(row.get("piece", file))
            if split_of_piece.setdefault(piece, split) != split:
                raise ValueError(
                    f"{path}:{number}: found the piece {piece} in the splits {split_of_piece[piece]} and {split}, "
                    f"expected all clips of a piece in one."
                )
            (copies.setdefault(copy, []) if copy else clips[split]).append(Clip(file, file, target, song=original))
        return ProbeData(data, self._names(clips, str(path)), clips, copies=copies)

    def _names(self, clips: dict[str, list[Clip]], where: str) -> tuple[str, ...]:
        if self.kind.fields == BEATS.fields:
            return ("beat", "downbeat")
        if self.kind == CHORD_FRAMES:
            return CHORDS
        found = [clip.target for split in SPLITS for clip in clips[split]]
        return class_names(found, KEYS, where) if self.kind == KEY else tuple(sorted(set(found), key=_order))

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> Objective:
        if self.kind == KEY:
            return KeyObjective(data.names)
        if self.kind == CHORD_FRAMES:
            return ChordObjective(rate_hz)
        if self.kind.frames:
            monitor_by = "network" if protocol.name == "marble" and self.kind == BEATS else "peaks"
            chosen_for = "beat" if self.kind == BEATS else "downbeat"
            return BeatObjective(rate_hz, protocol.beat_labels, monitor_by, chosen_for)
        return ClassObjective(data.names)


def _order(name: str) -> tuple[int, str]:
    """Sort key: numbers by size, before words."""
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


TASKS: list[ProbeTask] = [
    ManifestTask("rendered-key", "key", "key", KEY),
    ManifestTask("rendered-beats", "key", "beats", BEATS),
    ManifestTask("rendered-downbeats", "key", "downbeats", DOWNBEATS),
    ManifestTask("rendered-chords", "key", "chords", CHORD_FRAMES),
    ManifestTask("rendered-pitch", "notes", "pitch", classes("pitch"), quick_clips=750),
    ManifestTask("rendered-family", "notes", "family", classes("family"), quick_clips=750),
    ManifestTask("rendered-dance", "dance", "dance", classes("dance"), quick_clips=400),
    ManifestTask("rendered-composer", "composer", "composer", classes("composer")),
]
