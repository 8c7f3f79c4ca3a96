"""MUSDB18: separation of a song into vocals, drums, bass and other."""

from pathlib import Path

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.objectives import Objective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

SOURCES = ("vocals", "drums", "bass", "other")
VALIDATION = {  # of the musdb package
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
}

CARD = DataCard(
    title="MUSDB18",
    url="https://zenodo.org/record/1117372",
    licence="educational use only; a licence per track",
    citation="Z. Rafii, A. Liutkus, F.-R. Stoeter, S. I. Mimilakis, R. Bittner. The MUSDB18 Corpus for Music "
    "Separation, 2017. doi:10.5281/zenodo.1117372",
    layout={
        "train/NAME/{vocals,drums,bass,other}.wav": "100 songs, stereo, 44.1 kHz",
        "test/NAME/{vocals,drums,bass,other}.wav": "50 songs",
    },
    how="Fetch musdb18.zip from Zenodo and turn its stems into folders of WAV (musdbconvert, of the musdb package).",
    sizes=(86, 14, 50),
)


class MUSDB18(ProbeTask):
    """A model per source; scored by the mean SDR over songs."""

    name, folder, title = "musdb18", "musdb18", "MUSDB18 separation"
    card, metrics = CARD, ("sdr", *(f"sdr_{source}" for source in SOURCES))
    max_epochs, lr_patience, stop_patience = 50, 2, 5

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        for part in ("train", "test"):
            for song in sorted(path for path in self.needed(data, part).iterdir() if path.is_dir()):
                if missing := [source for source in SOURCES if not (song / f"{source}.wav").is_file()]:
                    raise FileNotFoundError(f"{song / missing[0]}.wav: not found. {CARD.how}")
                split = "valid" if part == "train" and song.name in VALIDATION else part
                clips[split].append(Clip(song.name, f"{part}/{song.name}", SOURCES))
        return ProbeData(data, SOURCES, clips)

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> Objective:
        raise NotImplementedError("separation has a trainer of its own")


TASKS: list[ProbeTask] = [MUSDB18()]
