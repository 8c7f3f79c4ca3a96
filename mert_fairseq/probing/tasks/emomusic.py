"""EmoMusic: arousal and valence of music."""

from pathlib import Path

import numpy as np
import pandas as pd

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import ValueObjective
from mert_fairseq.probing.probe_data import Clip, ProbeData, plain_name, sha1_number
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

VALUES = ("arousal", "valence")
TRAIN_BELOW, MODULUS = 8, 10

CARD = DataCard(
    title="EmoMusic (1000 songs, 744 without duplicates)",
    url="https://cvml.unige.ch/databases/emoMusic/",
    licence="annotations for research; audio from the Free Music Archive, Creative Commons",
    citation="M. Soleymani et al. 1000 Songs for Emotional Analysis of Music. CrowdMM 2013.",
    layout={
        "songs_info.csv": "song_id, Artist, Song title, Mediaeval 2013 set, ...",
        "static_annotations.csv": "song_id, mean_arousal, mean_valence (1 to 9)",
        "clips_45seconds/SONG_ID.mp3": "744 clips of 45 s",
    },
    how="Ask for the data at cvml.unige.ch/databases/emoMusic; unpack clips_45seconds.tar.gz and annotations.tar.gz.",
    sizes=(504, 115, 125),
)


def is_training_artist(artist: str) -> bool:
    """Whether the hash of an artist's plain name puts the songs into train, and not into valid."""
    return sha1_number(plain_name(artist)) % MODULUS < TRAIN_BELOW


class EmoMusic(ProbeTask):
    """Two numbers per clip, standardised over train and valid."""

    name, folder, title = "emomusic", "emomusic", "EmoMusic"
    card, metrics = CARD, ("r2", "r2_valence", "r2_arousal")
    windows = Windows(seconds=5.0, first_seconds=30.0)

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        songs = self._table(data, "songs_info.csv", ["song_id", "Artist", "Mediaeval 2013 set"])
        means = self._table(data, "static_annotations.csv", ["song_id", "mean_arousal", "mean_valence"])
        means = means.set_index("song_id").astype(float)
        if len(missing := songs.index[~songs["song_id"].isin(means.index)]):
            song = songs.loc[missing[0], "song_id"]
            raise ValueError(f"{data / 'static_annotations.csv'}: song {song} of songs_info.csv has no annotation.")
        raw = {song: means.loc[song, ["mean_arousal", "mean_valence"]].to_numpy() for song in songs["song_id"]}
        where = {
            song: "test" if part.strip() == "evaluation" else "train" if is_training_artist(artist) else "valid"
            for song, artist, part in zip(songs["song_id"], songs["Artist"], songs["Mediaeval 2013 set"], strict=True)
        }
        development = np.array([raw[song] for song, split in where.items() if split != "test"]).reshape(-1, 2)
        mean, deviation = development.mean(0), development.std(0)
        clips: dict[str, list[Clip]] = {"train": [], "valid": [], "test": []}
        for song, split in where.items():
            target = tuple(((raw[song] - mean) / deviation).tolist())
            clips[split].append(Clip(str(song), f"clips_45seconds/{song}.mp3", target))
        return ProbeData(data, VALUES, clips)

    def _table(self, data: Path, name: str, columns: list[str]) -> pd.DataFrame:
        path = self.needed(data, name)
        table = pd.read_csv(path, skipinitialspace=True, dtype=str)
        table.columns = table.columns.str.strip()
        if missing := [column for column in columns if column not in table.columns]:
            raise ValueError(f"{path}: found the columns {list(table.columns)}, expected {missing[0]} among them.")
        table = table[columns].fillna("")
        return table.assign(song_id=table["song_id"].str.strip().astype(int))

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> ValueObjective:
        return ValueObjective(data.names)


TASKS: list[ProbeTask] = [EmoMusic()]
