"""VocalSet: who sings, and with which technique, from chunks of three seconds."""

import json
import re
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupShuffleSplit

from mert_fairseq.audio import probe, read_span
from mert_fairseq.files import replacing
from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

TECHNIQUES = (
    "belt",
    "breathy",
    "inhaled",
    "lip_trill",
    "spoken",
    "straight",
    "trill",
    "trillo",
    "vibrato",
    "vocal_fry",
)
FOLDERS = (*TECHNIQUES, "fast_forte", "fast_piano", "forte", "messa", "pp", "slow_forte", "slow_piano")
SINGERS = (*(f"f{number}" for number in range(1, 10)), *(f"m{number}" for number in range(1, 12)))
TEST_SINGERS = {"f2", "f8", "m3", "m5", "m10"}
SPLIT_SEED = 42617
CHUNK_SAMPLES, SAMPLE_RATE = 132_000, 44_100  # 2.993 s

CARD = DataCard(
    title="VocalSet 1.1",
    url="https://zenodo.org/record/1203819",
    licence="CC BY 4.0",
    citation="J. Wilkins, P. Seetharaman, A. Wahl, B. Pardo. VocalSet: A Singing Voice Dataset. ISMIR 2018.",
    layout={"FULL/female1/arpeggios/belt/f1_arpeggios_belt_c_a.wav": "20 singers, 44.1 kHz"},
    how="Fetch VocalSet11.zip from Zenodo and unpack it, so that FULL lies in the data folder.",
    may_copy=True,
)


def find_files(data: Path) -> dict[str, list[tuple[str, str, str]]]:
    """The recordings of each technique folder, in the order of their names.

    A name that lacks the singer gets the singer's folder as prefix; of equal names one stays.

    Returns:
        (name, singer, path relative to the data folder) by technique.

    Raises:
        ValueError: if a singer's folder has an unknown name, or there are no recordings.
    """
    found: dict[str, dict[str, tuple[str, str]]] = {technique: {} for technique in FOLDERS}
    for path in sorted((data / "FULL").rglob("*.wav")):
        parts = path.relative_to(data / "FULL").parts
        technique = parts[-2]
        if technique not in found:
            continue
        match = re.fullmatch(r"(female|male)(\d+)", parts[0])
        singer = f"{match[1][0]}{match[2]}" if match else parts[0]
        if singer not in SINGERS:
            raise ValueError(f"{path}: found the singer {parts[0]!r}, expected female1 to female9 or male1 to male11.")
        name = path.stem if re.match(rf"{singer}(_|$)", path.stem) else f"{singer}_{path.stem}"
        found[technique].setdefault(name, (singer, str(path.relative_to(data))))
    if not any(found.values()):
        raise ValueError(f"{data / 'FULL'}: found no recordings in folders such as female1/arpeggios/belt. {CARD.how}")
    return {
        technique: [(name, singer, place) for name, (singer, place) in sorted(names.items())]
        for technique, names in found.items()
    }


def split_groups(groups: dict[str, list[int]]) -> dict[str, dict[int, str]]:
    """MARBLE's random splits of groups: technique first, then singer, from one generator.

    Args:
        groups: for "technique" and "singer" the groups that are to be split, each once.

    Returns:
        The split of each group: train or valid of technique, train, valid or test of singer.
    """
    random = np.random.RandomState(SPLIT_SEED)

    def divide(chosen: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        splitter = GroupShuffleSplit(n_splits=1, test_size=share, random_state=random)
        rest, held = next(splitter.split(chosen, groups=chosen))
        return chosen[rest], chosen[held]

    train, valid = divide(np.unique(groups["technique"]), 0.4)
    technique = {**dict.fromkeys(train.tolist(), "train"), **dict.fromkeys(valid.tolist(), "valid")}
    rest, test = divide(np.unique(groups["singer"]), 0.2)
    train, valid = divide(rest, 0.4)
    singer = {**dict.fromkeys(train.tolist(), "train"), **dict.fromkeys(valid.tolist(), "valid")}
    return {"technique": technique, "singer": {**singer, **dict.fromkeys(test.tolist(), "test")}}


def leading_silence(path: Path) -> int:
    """Samples before the voice sets in, as torchaudio's vad says; the file's length if it never does."""
    import torch
    import torchaudio

    wave = torch.from_numpy(read_span(path, dtype="float32"))[None]
    return wave.shape[1] - torchaudio.functional.vad(wave, probe(path).sample_rate).shape[1]


class VocalSet(ProbeTask):
    """Chunks of 132,000 samples after the leading silence; a remainder is dropped. Scored per chunk."""

    folder, card, metrics = "vocalset", CARD, ("accuracy", "macro_f1")

    def __init__(self, what: str, names: tuple[str, ...], stop_patience: int) -> None:
        self.what, self.names, self.stop_patience = what, names, stop_patience
        self.name, self.title = f"vocalset-{what}", f"VocalSet {what}"

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        self.needed(data, "FULL")
        files = find_files(data)
        starts = _starts(data, files, work)
        by_index = {
            "technique": [
                index
                for technique in TECHNIQUES
                for index, (_, singer, _) in enumerate(files[technique])
                if singer not in TEST_SINGERS
            ],
            "singer": [index for technique in FOLDERS for index in range(len(files[technique]))],
        }
        where = split_groups(by_index)[self.what]
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        left_out: dict[str, str] = {}
        for technique in TECHNIQUES if self.what == "technique" else FOLDERS:
            for index, (name, singer, path) in enumerate(files[technique]):
                held = self.what == "technique" and singer in TEST_SINGERS
                split = "test" if held else where[index]
                target = technique if self.what == "technique" else singer
                chunks = _chunks(f"{technique}/{name}", data, path, target, starts[path])
                clips[split] += chunks
                if not chunks:
                    left_out[path] = "has no whole chunk of 3 s after its leading silence"
        return ProbeData(data, self.names, clips, left_out)

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> ClassObjective:
        return ClassObjective(data.names)


def _chunks(name: str, data: Path, path: str, target: str, start: int) -> list[Clip]:
    info = probe(data / path)
    size = round(CHUNK_SAMPLES * info.sample_rate / SAMPLE_RATE)
    return [
        Clip(
            f"{name}_{number:02d}",
            path,
            target,
            "",
            (start + number * size) / info.sample_rate,
            size / info.sample_rate,
        )
        for number in range((info.samples - start) // size)
    ]


def _starts(data: Path, files: dict[str, list[tuple[str, str, str]]], work: Path | None) -> dict[str, int]:
    """Where the voice sets in, by path; kept in the work folder, because it takes minutes."""
    memo = work / "vocalset_starts.json" if work else None
    known: dict[str, int] = json.loads(memo.read_text(encoding="utf-8")) if memo and memo.is_file() else {}
    paths = [path for names in files.values() for *_, path in names]
    missing = [path for path in paths if path not in known]
    known |= {path: leading_silence(data / path) for path in missing}
    if memo and missing:
        memo.parent.mkdir(parents=True, exist_ok=True)
        with replacing(memo) as partial:
            partial.write_text(json.dumps(known), encoding="utf-8")
    return known


TASKS: list[ProbeTask] = [VocalSet("singer", SINGERS, 20), VocalSet("technique", TECHNIQUES, 10)]
