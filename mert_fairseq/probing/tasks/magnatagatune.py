"""MagnaTagATune: the fifty most frequent tags, with and without clips that have none of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.objectives import TagObjective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

TOP = 50
SPLIT_OF_FOLDER = {**dict.fromkeys("0123456789ab", "train"), "c": "valid", **dict.fromkeys("def", "test")}
CORRUPT = {"35644", "55753", "57881"}

HOW = (
    "Fetch mp3.zip.001 to .003 and annotations_final.csv from mirg.city.ac.uk/codeapps/the-magnatagatune-dataset, join "
    "the parts (cat mp3.zip.00? > mp3.zip) and unpack them into mp3."
)
LAYOUT = {
    "annotations_final.csv": "tab separated: clip_id, 188 tags of 0 and 1, mp3_path",
    "mp3/F/NAME.mp3": "25,863 clips of 29 s, 16 kHz, in folders 0 to f",
}
BAD = dict.fromkeys(sorted(CORRUPT), "corrupt in the published archive")


def card(title: str, sizes: tuple[int, int, int]) -> DataCard:
    """The card of one of the two splits."""
    return DataCard(
        title=title,
        url="https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset",
        licence="CC BY-NC-SA 3.0 (labels); audio by Magnatune, CC BY-NC-SA",
        citation="E. Law, K. West, M. Mandel, M. Bay, J. S. Downie. Evaluation of Algorithms Using Games: The Case of "
        "Music Tagging. ISMIR 2009.",
        layout=LAYOUT,
        how=HOW,
        sizes=sizes,
        bad_files=BAD,
        may_copy=True,
    )


class MagnaTagATune(ProbeTask):
    """Any of 50 tags per clip.

    Args:
        name: on the command line.
        title: for reports.
        keep_untagged: whether clips without any of the 50 tags stay (split a of MARBLE) or go (split b).
        sizes: of the published split.
    """

    folder = "magnatagatune"
    metrics = ("roc_auc", "average_precision")
    lr_patience, stop_patience = 3, 10

    def __init__(self, name: str, title: str, keep_untagged: bool, sizes: tuple[int, int, int]) -> None:
        self.name, self.title, self.keep_untagged = name, title, keep_untagged
        self.card = card(title, sizes)

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        path = self.needed(data, "annotations_final.csv")
        table = pd.read_csv(path, sep="\t", dtype=str)
        if list(table.columns[[0, -1]]) != ["clip_id", "mp3_path"] or len(table.columns) < TOP + 2:
            raise ValueError(f"{path}: found {len(table.columns)} columns, expected clip_id, 188 tags and mp3_path.")
        tags = table.columns[1:-1]
        marks = (table[tags] == "1").to_numpy()
        names = tuple(tags[np.argsort(-marks.sum(0), kind="stable")[:TOP]])
        chosen = marks[:, [table.columns.get_loc(name) - 1 for name in names]]
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        left_out = {}
        for clip, place, row in zip(table["clip_id"], table["mp3_path"], chosen, strict=True):
            if place[:1] not in SPLIT_OF_FOLDER:
                raise ValueError(f"{path}: clip {clip} has the path {place!r}, expected one such as f/name.mp3.")
            target = tuple(name for name, has in zip(names, row, strict=True) if has)
            if clip in CORRUPT:
                left_out[clip] = "corrupt in the published archive"
            elif target or self.keep_untagged:
                clips[SPLIT_OF_FOLDER[place[0]]].append(Clip(clip, f"mp3/{place}", target))
        return ProbeData(data, names, clips, left_out)

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> TagObjective:
        return TagObjective(data.names)


TASKS: list[ProbeTask] = [
    MagnaTagATune("mtt", "MagnaTagATune top 50, split a", True, (18_706, 1_825, 5_329)),
    MagnaTagATune("mtt-tagged", "MagnaTagATune top 50, split b", False, (15_247, 1_529, 4_332)),
]
