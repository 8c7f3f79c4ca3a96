"""A probe task: data set, split, objective and scores. A new task is one file with a card and ``read``."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import torch

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.store import FeatureStore
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import Objective
from mert_fairseq.probing.probe_data import ProbeData
from mert_fairseq.probing.rows import Rows
from mert_fairseq.probing.search.protocol import Protocol


class ProbeTask(ABC):
    """What each task defines; everything else is shared by all tasks.

    Attributes:
        name: on the command line.
        folder: of the data set, below the folder of all data sets.
        title: for reports.
        card: facts of the data set.
        windows: how clips are fed to a model.
        metrics: of the results, the first is the main one.
        windows_are_clips: whether a batch counts windows instead of clips.
        standardize: whether features of models are standardised by the training split, as those of baselines are.
        quick_clips: at most so many clips of each split are used under the quick protocol.
        crop_seconds: length of the random crop of each clip per update; None for the whole clip.
        max_epochs, lr_patience, stop_patience: of MARBLE's settings for this task.
    """

    name: str
    folder: str
    title: str
    card: DataCard
    metrics: tuple[str, ...]
    windows = Windows()
    windows_are_clips = False
    standardize = False
    quick_clips = 200
    crop_seconds: float | None = None
    max_epochs, lr_patience, stop_patience = 100, 5, 20

    @abstractmethod
    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        """Read lists and labels; audio is not decoded, unless the data set's rules need it.

        Args:
            data: the data set's folder.
            work: a cache folder for slow computations; None caches nothing.

        Raises:
            FileNotFoundError: if a list or label file is missing; says where to get it.
            ValueError: if one is wrong; says where, what was found and what was expected.
        """

    @abstractmethod
    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> Objective:
        """The objective that the heads are trained for.

        Args:
            data: as read.
            protocol: of the search.
            rate_hz: frames per second of the features.
        """

    def has_data(self, data: Path) -> bool:
        """Whether a folder may hold this task's data, for ``mert-probe all``."""
        return data.is_dir()

    def check(self, data: Path) -> list[str]:
        """Further errors that ``mert-probe check`` reports, one sentence each; none by default."""
        return []

    def is_published(self, data: ProbeData) -> bool:
        """Whether this is the published data under the published split, judged by its sizes."""
        return self.card.sizes is not None and tuple(data.songs.values()) == self.card.sizes

    def needed(self, data: Path, name: str) -> Path:
        """A file of the data set.

        Raises:
            FileNotFoundError: if it does not exist.
        """
        path = data / name
        if not path.exists():
            raise FileNotFoundError(f"{path}: not found. {self.card.title}: {self.card.how}")
        return path

    def rows(self, data: ProbeData, store: FeatureStore, objective: Objective, standardize: bool) -> dict[str, Rows]:
        """Features and targets of train, valid, test and changed copies.

        Args:
            data: the clips.
            store: their features.
            objective: encodes the targets.
            standardize: whether features get mean 0 and variance 1 over the training split.
        """
        states, counts = store.read()
        found, clip, row = {}, 0, 0
        for split, clips in data.parts.items():
            sizes = counts[clip : clip + len(clips)]
            clip, last = clip + len(clips), row + int(sizes.sum())
            parts = [state[row:last] for state in states]
            row = last
            if self.windows_are_clips:
                clips = [each for each, size in zip(clips, sizes.tolist(), strict=True) for _ in range(size)]
                sizes = torch.ones(len(clips), dtype=torch.int64)
            if objective.frames:
                targets = objective.encode_frames(clips, sizes.tolist(), training=split == "train")
            else:
                targets = objective.encode(clips)
            found[split] = Rows(parts, sizes, clips, targets, per_row=objective.frames)
        return _standardized(found) if standardize or self.standardize else found

    def settings(self) -> dict[str, Any]:
        """The task's settings that change results, for digests."""
        return {
            "task": self.name,
            "crop_seconds": self.crop_seconds,
            "windows_are_clips": self.windows_are_clips,
            "standardize": self.standardize,
        }


def _standardized(splits: dict[str, Rows]) -> dict[str, Rows]:
    moments = [(state.float().mean(0), state.float().std(0).clamp(min=1e-6)) for state in splits["train"].states]
    return {
        name: Rows(
            [(state.float() - mean) / deviation for state, (mean, deviation) in zip(rows.states, moments, strict=True)],
            rows.counts,
            rows.clips,
            rows.targets,
            rows.per_row,
        )
        for name, rows in splits.items()
    }
