"""FMA-small and FMA-medium: genre of 30 s clips, official split."""

from pathlib import Path

from mert_fairseq.fma import FMA, audio_path
from mert_fairseq.fma.constants import CITATION, HOMEPAGE, MANIFEST_SPLITS, PUBLISHED_SPLITS
from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol


class FMAGenre(ProbeTask):
    """Top genre of a clip."""

    metrics = ("accuracy", "macro_f1")
    folder = "fma"
    windows = Windows(first_seconds=30.0)
    lr_patience, stop_patience = 6, 20

    def __init__(self, subset: str) -> None:
        self.subset, self.name, self.title = subset, f"fma-{subset}", f"FMA-{subset} genre"
        self.card = DataCard(
            title=self.title,
            url=HOMEPAGE,
            licence="metadata CC BY 4.0; audio under each artist's Creative Commons licence",
            citation=CITATION,
            layout={
                "fma_metadata/tracks.csv, genres.csv": "of fma_metadata.zip",
                f"fma_{subset}/000/000002.mp3": f"of fma_{subset}.zip",
            },
            how=f"preprocess/fetch_fma.py fetches, checks and unpacks fma_metadata and fma_{subset}.",
            sizes=PUBLISHED_SPLITS[subset],
        )

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        fma = FMA(self.needed(data, "fma_metadata"), data / f"fma_{self.subset}", self.subset)
        clips: dict[str, list[Clip]] = {}
        names: set[str] = set()
        left_out: dict[str, str] = {}
        for split, word in MANIFEST_SPLITS.items():
            table = fma.select(self.subset, split)
            tops = {int(track): top for track, top in table["track", "genre_top"].items() if isinstance(top, str)}
            names |= set(tops.values())
            left_out |= {str(track): reason for track, reason in fma.known_bad.items() if track in tops}
            clips[word] = [
                Clip(str(track), str(Path(f"fma_{self.subset}") / audio_path(track)), top)
                for track, top in tops.items()
                if track not in fma.known_bad
            ]
        return ProbeData(data, tuple(sorted(names)), clips, left_out)

    def is_published(self, data: ProbeData) -> bool:
        return sum(data.sizes.values()) + len(data.left_out) == sum(self.card.sizes or ())

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> ClassObjective:
        return ClassObjective(data.names)


TASKS: list[ProbeTask] = [FMAGenre("small"), FMAGenre("medium")]
