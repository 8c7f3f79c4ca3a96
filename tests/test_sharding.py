"""Shards hold every track once, with its labels, and training can read them."""

import ast
import importlib.util
import re

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from numbered_corpus import COLUMNS, codes_of, write_corpus

from mert_fairseq.labels import PackedLabels, TextLabels, TextWriter, open_labels
from mert_fairseq.manifest import Manifest

LENGTHS = [48_000 + 320 * track for track in range(7)]


@pytest.fixture
def command(repo_root):
    spec = importlib.util.spec_from_file_location("make_shards", repo_root / "preprocess/make_shards.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *words: module.main([str(word) for word in words])


@pytest.mark.parametrize("packed", [False, True])
def test_every_track_is_in_one_shard_with_its_labels(tmp_path, command, packed, capsys):
    folder = write_corpus(tmp_path, LENGTHS, packed=packed)
    assert command(folder, 3) == 0
    assert "3 shards of 2 to 3 tracks" in capsys.readouterr().out
    seen = []
    for shard in range(3):
        manifest, labels = (
            Manifest.read(folder / f"train_{shard}_3.tsv"),
            open_labels(folder, f"train_{shard}_3", COLUMNS),
        )
        assert isinstance(labels.parts[0], PackedLabels if packed else TextLabels)
        assert manifest.sample_rate == 24_000
        for place in range(len(manifest)):
            track = LENGTHS.index(manifest.samples[place])
            assert manifest.audio_path(place) == folder / f"audio/train{track:03d}.wav"
            np.testing.assert_array_equal(labels.codes(place), codes_of(track, LENGTHS[track] // 320))
            seen.append(track)
    assert sorted(seen) == list(range(7))


def test_the_assignment_follows_from_the_seed(tmp_path, command):
    folder = write_corpus(tmp_path / "data", LENGTHS)
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        assert command(folder, 2, "--seed", seed, "--out-dir", tmp_path / name) == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "train_1_2.rvq_2" in files
    assert (tmp_path / "a/dict.rvq_0.txt").read_bytes() == (folder / "dict.rvq_0.txt").read_bytes()
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert (tmp_path / "a/train_0_2.tsv").read_bytes() != (tmp_path / "c/train_0_2.tsv").read_bytes()


def test_a_manifest_without_labels_can_be_sharded(tmp_path, command):
    assert command(write_corpus(tmp_path, LENGTHS), 2, "--labels") == 0
    assert (tmp_path / "train_0_2.tsv").exists()
    assert not (tmp_path / "train_0_2.rvq_0").exists()


def test_more_shards_than_tracks_are_an_error(tmp_path, command, capsys):
    assert command(write_corpus(tmp_path, LENGTHS), 8) == 1
    assert "train.tsv: found 7 tracks, expected at least one for each of 8 shards" in capsys.readouterr().err


@pytest.mark.parametrize("recipe", ["mert_95m", "mert_330m", "tiny"])
def test_every_recipe_takes_the_options_that_the_help_shows(repo_root, recipe):
    help_text = ast.get_docstring(ast.parse((repo_root / "preprocess/make_shards.py").read_text()))
    options = re.findall(r"\S*task\.\w+=\S+", help_text)
    assert len(options) == 2
    with initialize_config_dir(str(repo_root / "config/pretrain"), version_base="1.1"):
        task = compose(recipe, [*options, "task.data=/data"]).task
    assert (task.sharding_data, task.load_random_data_shard) == (6, False)


def test_labels_of_different_length_are_an_error(tmp_path, command, capsys):
    folder = write_corpus(tmp_path, LENGTHS)
    with TextWriter(folder, "train", ["km"]) as out:
        for samples in LENGTHS:
            out.append(np.zeros((samples // 320 - 1, 1), dtype=int))
    assert command(folder, 2, "--labels", "rvq_0", "km") == 1
    assert "train.rvq_0:1: found 150 codes, expected 149" in capsys.readouterr().err
    assert not (folder / "train_0_2.tsv").exists()
    assert command(folder, 2, "--labels", "km") == 0


def test_labels_of_another_manifest_are_an_error(tmp_path, command, capsys):
    folder = write_corpus(tmp_path, LENGTHS)
    for column in COLUMNS:
        (folder / f"train.{column}").write_text("1 2 3\n")
    assert command(folder, 2) == 1
    assert "found labels of 1 tracks, expected 7" in capsys.readouterr().err
