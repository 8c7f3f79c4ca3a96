"""MTG-Jamendo: genre, instrument, mood and theme, and the fifty most frequent tags of full tracks."""

from pathlib import Path

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import TagObjective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

FILES = {"train": "train", "valid": "validation", "test": "test"}
HEADER = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]
SIZES = {
    "genre": (32_572, 11_043, 11_479),
    "instrument": (14_395, 5_466, 5_115),
    "moodtheme": (9_949, 3_802, 4_231),
    "top50tags": (32_136, 10_888, 11_356),
}


class MTGJamendo(ProbeTask):
    """Tags of one of the four subsets, split 0."""

    folder = "mtg-jamendo"
    metrics = ("roc_auc", "average_precision")
    windows = Windows(seconds=30.0)
    lr_patience, stop_patience = 3, 10

    def __init__(self, subset: str) -> None:
        self.subset, self.name = subset, f"mtg-{subset.removesuffix('tags')}"
        self.title = f"MTG-Jamendo {subset}"
        lists = f"data/splits/split-0/autotagging_{subset}-{{train,validation,test}}.tsv"
        self.card = DataCard(
            title=self.title,
            url="https://github.com/MTG/mtg-jamendo-dataset",
            licence="metadata CC BY-NC-SA 4.0; audio Creative Commons, a licence per track",
            citation="D. Bogdanov, M. Won, P. Tovstogan, A. Porter, X. Serra. The MTG-Jamendo Dataset for Automatic "
            "Music Tagging. ML4MD workshop, ICML 2019.",
            layout={
                lists: "split 0, tab separated",
                "audio-low/NN/ID.low.mp3": "whole tracks, mono (or audio/NN/ID.mp3)",
            },
            how="Clone the repository (1b4fa8c) for data/, and fetch the audio with its script: "
            "python scripts/download/download.py --dataset raw_30s --type audio-low audio-low --unpack --remove.",
            sizes=SIZES[subset],
        )

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        low = (data / "audio-low").is_dir() or not (data / "audio").is_dir()
        names: dict[str, None] = {}
        clips: dict[str, list[Clip]] = {}
        for split, word in FILES.items():
            path = self.needed(data, f"data/splits/split-0/autotagging_{self.subset}-{word}.tsv")
            lines = path.read_text(encoding="utf-8").splitlines()
            if not lines or lines[0].split("\t") != HEADER:
                raise ValueError(f"{path}:1: found {lines[:1]}, expected the header {' '.join(HEADER)}.")
            clips[split] = []
            for number, line in enumerate(lines[1:], start=2):
                cells = line.split("\t")
                if len(cells) < len(HEADER):
                    raise ValueError(f"{path}:{number}: found {len(cells)} columns, expected at least {len(HEADER)}.")
                tags = tuple(cells[5:])
                names |= dict.fromkeys(tags)
                file = f"audio-low/{cells[3].removesuffix('.mp3')}.low.mp3" if low else f"audio/{cells[3]}"
                clips[split].append(Clip(cells[0], file, tags))
        return ProbeData(data, tuple(names), clips)

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> TagObjective:
        return TagObjective(data.names)


TASKS: list[ProbeTask] = [MTGJamendo(subset) for subset in SIZES]
