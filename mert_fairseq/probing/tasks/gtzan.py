"""GTZAN: ten genres, under the fault-filtered split."""

from pathlib import Path

from mert_fairseq.audio import AudioError, probe
from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import SPLITS, Clip, ProbeData, class_names
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")

CARD = DataCard(
    title="GTZAN",
    url="http://marsyas.info/downloads/datasets.html (dead); huggingface.co/datasets/m-a-p/GTZAN",
    licence="none stated: commercial recordings, for research only",
    citation="G. Tzanetakis, P. Cook. Musical Genre Classification of Audio Signals. IEEE TSAP 10(5), 2002. "
    "Split: C. Kereliuk, B. Sturm, J. Larsen. Deep Learning and Music Adversaries. IEEE TMM 17(11), 2015.",
    layout={
        "genres/blues/blues.00000.wav": "1,000 clips of 30 s, 22,050 Hz, a folder per genre",
        "train_filtered.txt": "fault-filtered split, one relative path per line",
        "valid_filtered.txt": "",
        "test_filtered.txt": "",
    },
    how="Fetch genres.tar.gz from a mirror, and {train,valid,test}_filtered.txt from github.com/coreyker/dnn-mgr "
    "(gtzan folder). Put both into the data folder.",
    sizes=(443, 197, 290),
    bad_files={"jazz/jazz.00054.wav": "corrupt in the copies that are in circulation"},
)


def read_lists(task: ProbeTask, data: Path) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Paths of the three lists, without those that are known to be bad and too short to be audio.

    Returns:
        The paths by split, relative to ``genres``, and what was left out, with the reason.

    Raises:
        FileNotFoundError: if a list is missing.
        ValueError: if a line is no path of GTZAN.
    """
    found: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for split in SPLITS:
        path = task.needed(data, f"{split}_filtered.txt")
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        for number, name in enumerate(names, start=1):
            if len(Path(name).parts) < 2 or Path(name).parts[-2] not in GENRES or not name.endswith(".wav"):
                raise ValueError(f"{path}:{number}: found {name!r}, expected a path such as blues/blues.00000.wav.")
        short = ["/".join(Path(name).parts[-2:]) for name in names]
        bad = {name: CARD.bad_files[name] for name in short if name in CARD.bad_files and not _decodes(data, name)}
        left_out |= bad
        found[split] = [name for name in short if name not in bad]
    return found, left_out


def _decodes(data: Path, name: str) -> bool:
    try:
        return probe(data / "genres" / name).samples > 0
    except AudioError:
        return False


class GTZANGenre(ProbeTask):
    """Genre of a clip."""

    name, folder, title = "gtzan-genre", "gtzan", "GTZAN genre"
    card, metrics = CARD, ("accuracy", "macro_f1")
    windows = Windows()
    lr_patience, stop_patience = 6, 20

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        lists, left_out = read_lists(self, data)
        clips = {
            split: [Clip(name, f"genres/{name}", name.split("/")[0]) for name in names]
            for split, names in lists.items()
        }
        names = class_names([clip.target for split in SPLITS for clip in clips[split]], GENRES, str(data))
        return ProbeData(data, names, clips, left_out)

    def is_published(self, data: ProbeData) -> bool:
        train, valid, test = data.sizes.values()
        return (train + len(data.left_out), valid, test) == CARD.sizes

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> ClassObjective:
        return ClassObjective(data.names)


TASKS: list[ProbeTask] = [GTZANGenre()]
