"""Builds an FMA-shaped folder: the four tables with the published headers, and encoded audio, good and bad."""

import ast
import csv
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile

from fma_tree.bad_files import BAD_FILES, BAD_IDS, DUPLICATE_ID, RATE_HZ
from fma_tree.numbers import make_echonest, make_features
from fma_tree.sounds import make_song
from fma_tree.taxonomy import root_of
from fma_tree.tracks import make_genres, make_tracks
from mert_fairseq.fma.constants import audio_path
from mert_fairseq.fma.schema import ECHONEST, FEATURE_TABLE, TRACKS, TableSchema


class FMATree(NamedTuple):
    """What was built, and what must be found in it."""

    metadata_dir: Path
    audio_dir: Path
    tracks: pd.DataFrame  # as text, before any parsing; index track_id
    bad: dict[int, str]  # track id -> kind of bad file, of bad_files.BAD_FILES
    duplicates: dict[int, int]  # track id -> the track whose file it is a copy of


def build_fma_tree(
    root: Path,
    *,
    per_genre: int = 10,
    medium_extra: int = 80,
    large_extra: int = 40,
    bad: bool = True,
    audio_subset: str | None = "small",
    audio_format: str = "mp3",
    clip_seconds: float = 1.5,
    echonest_share: float = 0.4,
    linear_signal: float = 1.5,
    mirrored_signal: float = 2.5,
    seed: int = 0,
) -> FMATree:
    """Write ``root/fma_metadata`` and ``root/fma_small`` (or what ``audio_subset`` says).

    The defaults take about 5 seconds, nearly all of it for encoding 80 clips as MP3; without audio half a second.

    Args:
        root: an existing folder.
        per_genre: tracks of each of the 8 balanced genres of small; 8 times that is the size of small.
        medium_extra: tracks that medium has beyond small, unbalanced over 16 genres.
        large_extra: tracks that large has beyond medium, every other one without a top genre.
        bad: give the ids of BAD_FILES to tracks of small, and write their files badly.
        audio_subset: whose tracks get audio; None for no audio at all.
        audio_format: "mp3" as published, or "flac".
        clip_seconds: length of the audio clips.
        echonest_share: share of the tracks that echonest.csv knows.
        linear_signal: how far apart a linear model sees the genres in features.csv, in spreads.
        mirrored_signal: how far apart only a non-linear model sees them, in spreads.
        seed: the same one gives the same tables, and the same audio where the encoder is the same.
    """
    rng = np.random.default_rng(seed)
    tracks = make_tracks(rng, per_genre, medium_extra, large_extra, BAD_IDS if bad else ())
    metadata_dir, audio_dir = root / "fma_metadata", root / f"fma_{audio_subset or 'small'}"
    metadata_dir.mkdir(parents=True)
    audio_dir.mkdir()
    roots = np.array([root_of(ast.literal_eval(genres)[0]) for genres in tracks["track", "genres"]])
    write_stacked(metadata_dir / "tracks.csv", tracks, TRACKS)
    make_genres(tracks).to_csv(metadata_dir / "genres.csv", lineterminator="\n")
    features = make_features(rng, roots, linear_signal, mirrored_signal).set_index(tracks.index)
    write_stacked(metadata_dir / "features.csv", features, FEATURE_TABLE)
    known = np.sort(rng.choice(len(tracks), round(echonest_share * len(tracks)), replace=False))
    echonest = make_echonest(rng, roots[known], [str(name) for name in tracks["artist", "name"].iloc[known]])
    write_stacked(metadata_dir / "echonest.csv", echonest.set_index(tracks.index[known]), ECHONEST)
    tree = FMATree(metadata_dir, audio_dir, tracks, {}, {})
    if audio_subset is not None:
        _write_audio(tree, roots, audio_subset, audio_format, clip_seconds, bad, seed)
    return tree


def write_stacked(path: Path, table: pd.DataFrame, schema: TableSchema) -> None:
    """Write a table as the published archive does: stacked header lines, then a line with the index name alone."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for level in range(schema.header_rows):
            name = table.columns.names[level] or ""
            writer.writerow([name, *(column[level] for column in table.columns)])
        writer.writerow([schema.index_name, *[""] * table.shape[1]])
        table.to_csv(file, header=False, lineterminator="\n")


def _write_audio(
    tree: FMATree, roots: np.ndarray, subset: str, audio_format: str, clip_seconds: float, bad: bool, seed: int
) -> None:
    wanted = {"small": ("small",), "medium": ("small", "medium"), "large": ("small", "medium", "large")}[subset]
    for track_id, root, level in zip(tree.tracks.index, roots, tree.tracks["set", "subset"], strict=True):
        if level not in wanted:
            continue
        path = tree.audio_dir / audio_path(track_id, f".{audio_format}")
        path.parent.mkdir(exist_ok=True)
        song = make_song(np.random.default_rng((seed, track_id)), int(root), clip_seconds, RATE_HZ)
        if bad and track_id in BAD_FILES:
            tree.bad[track_id], spoil = BAD_FILES[track_id]
            spoil(path, song)
        else:
            # 0.99 is the encoder's fastest and smallest
            soundfile.write(path, song, RATE_HZ, format=audio_format.upper(), compression_level=0.99)
    if bad:
        _copy_across_splits(tree, wanted, audio_format)


def _copy_across_splits(tree: FMATree, wanted: tuple[str, ...], audio_format: str) -> None:
    """Make the file of DUPLICATE_ID a copy of one in another split."""
    split = tree.tracks["set", "split"]
    good = tree.tracks["set", "subset"].isin(wanted) & ~tree.tracks.index.isin(BAD_IDS)
    original = int(tree.tracks.index[good & (split != split[DUPLICATE_ID])][0])
    folder, suffix = tree.audio_dir, f".{audio_format}"
    shutil.copyfile(folder / audio_path(original, suffix), folder / audio_path(DUPLICATE_ID, suffix))
    tree.duplicates[DUPLICATE_ID] = original
