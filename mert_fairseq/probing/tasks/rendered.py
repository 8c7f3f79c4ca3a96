"""Folders of labelled audio with one manifest.jsonl: a line per clip with path, split and labels.

Such folders come from rendered scores, whose labels are known by construction, or from your own data.
"""

import json
from pathlib import Path
from typing import Any

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import BeatObjective, ClassObjective, KeyObjective, Objective
from mert_fairseq.probing.objectives.keys import KEYS
from mert_fairseq.probing.probe_data import SPLITS, Clip, ProbeData, class_names
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol


class ManifestTask(ProbeTask):
    """Labels from one field of manifest.jsonl.

    Args:
        name: on the command line.
        folder: of the data set, below the folder of all data sets.
        field: that holds the label: a class, a key such as "Eb minor"; for beats, "beats" beside "downbeats".
        kind: "classes", "key" or "beats".
    """

    def __init__(self, name: str, folder: str, field: str, kind: str) -> None:
        self.name, self.folder, self.field, self.kind = name, folder, field, kind
        self.title = f"{folder.capitalize()}: {field}"
        self.metrics = {
            "classes": ("accuracy", "macro_f1"),
            "key": ("weighted_score", "accuracy"),
            "beats": ("beat_f", "beat_f_peaks", "downbeat_f"),
        }[kind]
        self.windows = Windows(peak=True, frames=True) if kind == "beats" else Windows(seconds=30.0)
        self.crop_seconds = 10.0 if kind == "beats" else None
        self.card = DataCard(
            title=self.title,
            url="a folder of your own",
            licence="as the music's",
            citation="none",
            layout={
                "manifest.jsonl": f"one JSON object per clip: path, split (train, valid, test), {field}, perhaps piece",
                "*.wav": "the audio",
            },
            how="Render scores with a soundfont, or write the manifest for labelled music of your own.",
            may_copy=True,
        )

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        path = self.needed(data, "manifest.jsonl")
        clips: dict[str, list[Clip]] = {split: [] for split in SPLITS}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                file, split, target = str(row["path"]), row["split"], self._target(row)
            except (ValueError, KeyError, TypeError) as error:
                wanted = f"a JSON object with path, split and {self.field}"
                raise ValueError(f"{path}:{number}: cannot be read ({error!r}), expected {wanted}.") from error
            if split not in SPLITS:
                raise ValueError(f"{path}:{number}: found the split {split!r}, expected one of {', '.join(SPLITS)}.")
            clips[split].append(Clip(file, file, target))
        if self.kind == "beats":
            return ProbeData(data, ("beat", "downbeat"), clips)
        found = [clip.target for split in SPLITS for clip in clips[split]]
        names = class_names(found, KEYS, str(path)) if self.kind == "key" else tuple(sorted(set(found), key=_order))
        return ProbeData(data, names, clips)

    def _target(self, row: dict[str, Any]) -> Any:
        if self.kind == "beats":
            return {"beat": list(map(float, row["beats"])), "downbeat": list(map(float, row["downbeats"]))}
        return str(row[self.field])

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> Objective:
        if self.kind == "key":
            return KeyObjective(data.names)
        if self.kind == "beats":
            return BeatObjective(rate_hz, protocol.beat_labels, "network" if protocol.name == "marble" else "peaks")
        return ClassObjective(data.names)


def _order(name: str) -> tuple[int, str]:
    """Numbers by size, before words."""
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


TASKS: list[ProbeTask] = [
    ManifestTask("rendered-key", "key", "key", "key"),
    ManifestTask("rendered-beats", "key", "beats", "beats"),
    ManifestTask("rendered-pitch", "notes", "pitch", "classes"),
    ManifestTask("rendered-family", "notes", "family", "classes"),
    ManifestTask("rendered-dance", "dance", "dance", "classes"),
    ManifestTask("rendered-composer", "composer", "composer", "classes"),
]
