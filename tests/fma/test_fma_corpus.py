"""The corpus as one object, and the made-up tree that other tests lean on."""

import filecmp
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fma_tree import FMATree, build_fma_tree
from fma_tree.bad_files import BAD_IDS
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from mert_fairseq.fma import FMA, known_bad


def test_select_takes_a_subset_with_its_smaller_ones_and_a_split(fma_tables: FMATree):
    fma = FMA(fma_tables.metadata_dir)
    assert [len(fma.select(subset)) for subset in ("small", "medium", "large")] == [80, 160, 200]
    assert [len(fma.select("small", split)) for split in ("training", "validation", "test")] == [64, 8, 8]
    assert fma.select("small")["track", "genre_top"].value_counts().loc[lambda counts: counts > 0].tolist() == [10] * 8
    with pytest.raises(ValueError, match="split 'train' is unknown; choose from training, validation, test"):
        fma.select("small", "train")
    with pytest.raises(ValueError, match="subset 'full' is unknown; choose from small, medium, large"):
        fma.select("full")


def test_tables_of_the_same_archive_match(fma_tables: FMATree):
    FMA(fma_tables.metadata_dir).check_references()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("genres.csv", b"\n109,", b"\n110,", "has genre 109, which genres.csv lacks"),
        ("genres.csv", b",Hip-Hop,", b",Hiphop,", r"has top genre 'Hip-Hop'; the roots of genres.csv are Blues, "),
        ("features.csv", b"\n99134,", b"\n99135,", r"features.csv: track 99135 \(and 0 more\) is not in tracks.csv"),
    ],
)
def test_tables_of_different_archives_are_errors(metadata_dir: Path, name: str, old: bytes, new: bytes, message: str):
    path = metadata_dir / name
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match=message):
        FMA(metadata_dir).check_references()


def test_licence_and_audio_path_of_a_track(fma_tree: FMATree):
    fma = FMA(fma_tree.metadata_dir, fma_tree.audio_dir, archive="small")
    assert fma.audio_path(1486) == fma_tree.audio_dir / "001" / "001486.mp3"
    assert fma.audio_path(1486).is_file()
    assert fma.licence(1486).code.split()[0] in {"CC", "CC0", "public", "FMA-Limited", "none"}
    assert 1486 in fma.known_bad
    with pytest.raises(ValueError, match="opened without audio_dir"):
        FMA(fma_tree.metadata_dir).audio_path(2)


def test_the_tree_holds_known_bad_and_other_bad_files(fma_tree: FMATree):
    assert {track for track in fma_tree.bad if track in known_bad("small")} >= {99134, 108925, 133297, 98565, 1486}
    assert set(fma_tree.bad.values()) >= {"missing", "truncated", "silent", "clipped", "web_page", "flac_named_mp3"}
    assert set(fma_tree.tracks["set", "subset"][list(BAD_IDS)]) == {"small"}
    ((copy, original),) = fma_tree.duplicates.items()
    fma = FMA(fma_tree.metadata_dir, fma_tree.audio_dir)
    assert filecmp.cmp(fma.audio_path(copy), fma.audio_path(original), shallow=False)
    assert fma.tracks["set", "split"][copy] != fma.tracks["set", "split"][original]


def test_good_files_of_the_tree_are_stereo_mp3_at_44_khz(fma_tree: FMATree):
    fma = FMA(fma_tree.metadata_dir, fma_tree.audio_dir)
    good = [track for track in fma.select("small").index if track not in BAD_IDS]
    assert len(good) == 24
    for track in good:
        info = soundfile.info(fma.audio_path(track))
        assert (info.format, info.samplerate, info.channels, info.duration) == ("MP3", 44_100, 2, 1.5)


def test_no_artist_of_the_tree_is_in_two_splits(fma_tables: FMATree):
    tracks = FMA(fma_tables.metadata_dir).tracks
    assert (tracks.groupby(tracks["artist", "id"])[[("set", "split")]].nunique() == 1).all(axis=None)


def test_the_same_seed_gives_the_same_tables(tmp_path: Path):
    sizes = {"per_genre": 2, "medium_extra": 4, "large_extra": 4, "bad": False, "audio_subset": None}
    folders = [tmp_path / name for name in ("one", "two", "other")]
    first, second, other = (
        build_fma_tree(folder, seed=seed, **sizes).metadata_dir for folder, seed in zip(folders, (1, 1, 2), strict=True)
    )
    names = ["tracks.csv", "genres.csv", "features.csv", "echonest.csv"]
    assert filecmp.cmpfiles(first, second, names, shallow=False)[0] == names
    assert "features.csv" in filecmp.cmpfiles(first, other, names, shallow=False)[1]


def test_genres_can_be_learnt_and_partly_by_non_linear_models_only(tmp_path: Path):
    tree = build_fma_tree(tmp_path, per_genre=80, medium_extra=0, large_extra=0, bad=False, audio_subset=None)
    fma = FMA(tree.metadata_dir)
    means = fma.features["mfcc", "mean"].to_numpy()
    means = (means - means.mean(axis=0)) / means.std(axis=0)
    genres = fma.tracks["track", "genre_top"].cat.codes.to_numpy()
    train = (fma.tracks["set", "split"] == "training").to_numpy()
    accuracy = {
        type(model).__name__: float(model.fit(means[train], genres[train]).score(means[~train], genres[~train]))
        for model in (LogisticRegression(max_iter=1000), QuadraticDiscriminantAnalysis(reg_param=0.1))
    }
    linear, quadratic = accuracy.values()
    assert 1 / 8 + 0.1 < linear < quadratic - 0.1, accuracy
    assert np.isfinite(fma.features.to_numpy()).all()
