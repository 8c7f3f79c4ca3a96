"""GiantSteps: the key of electronic dance music; trained on MTG-Key, tested on the GiantSteps key data set."""

import csv
import hashlib
from pathlib import Path

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import KeyObjective
from mert_fairseq.probing.objectives.keys import ENHARMONIC, KEYS
from mert_fairseq.probing.probe_data import Clip, ProbeData, class_names, sha1_number
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

CLIP_SECONDS = 30.0
SURE = "2"  # the highest confidence of MTG-Key's annotators
TRAIN_BELOW, MODULUS = 100, 116

CARD = DataCard(
    title="GiantSteps Key and GiantSteps-MTG-Key",
    url="https://github.com/GiantSteps/giantsteps-key-dataset, https://github.com/GiantSteps/giantsteps-mtg-key-dataset",
    licence="annotations CC BY-NC-SA 4.0; audio: previews of Beatport, for research only",
    citation="P. Knees et al. Two Data Sets for Tempo Estimation and Key Detection in Electronic Dance Music Annotated "
    "from User Corrections. ISMIR 2015.",
    layout={
        "giantsteps-key-dataset/annotations/key/ID.LOFI.key": "604 keys, such as D major",
        "giantsteps-key-dataset/audio/ID.LOFI.mp3": "604 excerpts of 2 min",
        "giantsteps-mtg-key-dataset/annotations/annotations.txt": "keys and confidence",
        "giantsteps-mtg-key-dataset/annotations/beatport_metadata.txt": "artists",
        "giantsteps-mtg-key-dataset/audio/ID.LOFI.mp3": "1,486 excerpts of 2 min",
    },
    how="Clone both repositories (commits c8cb8aad and fd7b8c58) and run their audio_dl.sh; both hold MD5 sums.",
    sizes=(923, 236, 604),
)


def normal_key(text: str) -> str:
    """A key under the names of KEYS: ``"D# minor"`` is ``"Eb minor"``."""
    tonic, _, mode = text.strip().partition(" ")
    return f"{ENHARMONIC.get(tonic, tonic)} {mode.strip().lower()}"


def split_by_artist(artists: dict[str, list[str]]) -> dict[str, str]:
    """Train or valid for each track: by a hash of its artists; all tracks of a valid artist become valid.

    Args:
        artists: names of each track's artists.

    Returns:
        "train" or "valid" by track.
    """
    held: set[str] = set()
    for names in artists.values():
        held |= {name for name in names if sha1_number(name.lower()) % MODULUS >= TRAIN_BELOW}
    for _ in range(2):  # as often as MARBLE's rule: artists who worked with a valid one
        for names in artists.values():
            if held & set(names):
                held |= set(names)
    return {track: "valid" if held & set(names) else "train" for track, names in artists.items()}


class GiantStepsKey(ProbeTask):
    """24 keys of songs, from clips of 30 s."""

    name, folder, title = "giantsteps-key", "giantsteps", "GiantSteps key"
    card, metrics = CARD, ("weighted_score", "accuracy")
    windows = Windows(seconds=CLIP_SECONDS, shortest_seconds=CLIP_SECONDS)
    windows_are_clips = True

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        keys, artists = self._training(data)
        where = split_by_artist(artists)
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        for track, key in keys.items():
            path = f"giantsteps-mtg-key-dataset/audio/{track}.LOFI.mp3"
            clips[where[track]].append(Clip(f"mtg-{track}", path, key))
        folder = self.needed(data, "giantsteps-key-dataset/annotations/key")
        for file in sorted(folder.glob("*.key")):
            key = normal_key(file.read_text(encoding="utf-8"))
            clips["test"].append(Clip(file.stem, f"giantsteps-key-dataset/audio/{file.stem}.mp3", key))
        class_names([clip.target for each in clips.values() for clip in each], KEYS, str(data))
        return ProbeData(data, KEYS, clips)

    def _training(self, data: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Keys and artists of MTG-Key's tracks that have one key of the highest confidence."""
        folder = "giantsteps-mtg-key-dataset/annotations"
        rows = self._table(data, f"{folder}/annotations.txt", ("ID", "MANUAL KEY", "C"))
        keys = {
            row["ID"].strip(): normal_key(row["MANUAL KEY"])
            for row in rows
            if row["C"].strip() == SURE and "/" not in row["MANUAL KEY"]
        }
        known = self._table(data, f"{folder}/beatport_metadata.txt", ("ID", "ARTIST"))
        artists = {row["ID"].strip(): [name.strip() for name in row["ARTIST"].split(",")] for row in known}
        if missing := [track for track in keys if track not in artists]:
            raise ValueError(
                f"{data / folder}/beatport_metadata.txt: track {missing[0]} of annotations.txt is missing."
            )
        return keys, {track: artists[track] for track in keys}

    def check(self, data: Path) -> list[str]:
        """Compare audio with the MD5 sums of the two repositories, where these are there."""
        wrong = []
        for sums in sorted(data.glob("giantsteps-*/md5/*.md5")):
            audio = sums.parents[1] / "audio" / f"{sums.stem}.mp3"
            words = sums.read_text(encoding="utf-8").split()
            if (
                audio.is_file()
                and words
                and hashlib.md5(audio.read_bytes(), usedforsecurity=False).hexdigest() != words[0]
            ):
                wrong.append(f"{audio}: differs from its MD5 sum in {sums.name}. Fetch it again.")
        return wrong

    def _table(self, data: Path, name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
        path = self.needed(data, name)
        with path.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
            reader.fieldnames = [field.strip() for field in reader.fieldnames or []]
            if missing := [column for column in columns if column not in reader.fieldnames]:
                raise ValueError(f"{path}: found the columns {reader.fieldnames}, expected {missing[0]} among them.")
            return [{key: value or "" for key, value in row.items() if key} for row in reader]

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> KeyObjective:
        return KeyObjective(data.names)


TASKS: list[ProbeTask] = [GiantStepsKey()]
