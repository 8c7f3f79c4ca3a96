"""Manifests come back as they were written, and say which line is wrong."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mert_fairseq.manifest import CompactStrings, Manifest, unusable_name

# every name that a Linux folder can hold, bytes that are no UTF-8 included, but those that a manifest refuses
NAMES = st.binary(min_size=1, max_size=30).map(os.fsdecode).filter(lambda name: unusable_name(name) is None)


@given(st.lists(st.tuples(NAMES, st.integers(0, 2**40)), max_size=20), st.integers(1, 192_000))
def test_what_is_written_is_read(tracks, sample_rate):
    names, samples = [name for name, _ in tracks], [length for _, length in tracks]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.tsv"
        Manifest(Path("/music"), names, np.array(samples, dtype=np.int64), sample_rate, {"b": 1}).write(path)
        read = Manifest.read(path)
        first = path.read_bytes(), path.with_suffix(".json").read_bytes()
        read.write(path)
        assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == first
    assert list(read.paths) == names
    assert read.samples.tolist() == samples
    assert (read.root, read.sample_rate, read.settings) == (Path("/music"), sample_rate, {"b": 1})


@given(st.lists(NAMES, max_size=10))
def test_names_index_and_slice_like_a_list(names):
    packed = CompactStrings.of(names)
    assert len(packed) == len(names)
    assert packed[1:3] == names[1:3]
    assert packed[::-2] == names[::-2]
    assert [packed[i] for i in range(-len(names), len(names))] == [*names, *names]


def test_the_file_has_the_format_of_hubert(tmp_path):
    Manifest(Path("/music"), ["a b.wav", "c/ä.flac"], np.array([24000, 7]), 24_000).write(tmp_path / "train.tsv")
    assert (tmp_path / "train.tsv").read_bytes() == "/music\na b.wav\t24000\nc/ä.flac\t7\n".encode()
    sidecar = json.loads((tmp_path / "train.json").read_text())
    assert (sidecar["sample_rate"], sidecar["tracks"], sidecar["total_seconds"]) == (24_000, 2, 1.0)
    assert set(sidecar["tools"]) == {"mert_fairseq", "numpy", "soundfile", "soxr"}


def test_a_manifest_without_sidecar_is_read(tmp_path):
    (tmp_path / "train.tsv").write_text("/music\na.wav\t10\r\n")
    manifest = Manifest.read(tmp_path / "train.tsv")
    assert (manifest.sample_rate, manifest.samples.tolist(), manifest.audio_path(0)) == (
        None,
        [10],
        Path("/music/a.wav"),
    )


def test_a_relative_folder_is_looked_for_beside_the_manifest(tmp_path):
    (tmp_path / "audio").mkdir()
    for root, expected in [("audio", tmp_path / "audio"), ("elsewhere", Path("elsewhere"))]:
        (tmp_path / "train.tsv").write_text(f"{root}\na.wav\t10\n")
        assert Manifest.read(tmp_path / "train.tsv").root == expected


@pytest.mark.parametrize("line", ["a.wav", "a.wav 10", "a.wav\tten", "a.wav\t-1", "\t10", ""])
def test_an_invalid_line_is_named(tmp_path, line):
    (tmp_path / "train.tsv").write_text(f"/music\nok.wav\t1\n{line}\nb.wav\t1\n")
    with pytest.raises(
        ValueError, match=r"train\.tsv:3: found .* expected a relative path, a tab and a number of samples"
    ):
        Manifest.read(tmp_path / "train.tsv")


@pytest.mark.parametrize(("name", "why"), [
    ("a\tb.wav", "tab or a line end"), ("a\nb.wav", "tab or a line end"), ("a\rb.wav", "tab or a line end"),
    (" a.wav", "begins or ends with a blank"), ("", "empty"),
])  # fmt: skip
def test_a_name_that_a_line_cannot_hold_is_an_error_and_nothing_is_written(tmp_path, name, why):
    with pytest.raises(ValueError, match=f"cannot hold the name .*{why}.*convert it under a safe name"):
        Manifest(Path("/music"), ["ok.wav", name], np.array([1, 1])).write(tmp_path / "train.tsv")
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_the_first_line_cannot_hold_is_an_error_and_nothing_is_written(tmp_path):
    for root in ("/my\tmusic", "/my\nmusic", "/music "):
        with pytest.raises(ValueError, match=r"music.*a manifest cannot hold the folder's name.*Rename the folder"):
            Manifest(Path(root), ["a.wav"], np.array([1])).write(tmp_path / "train.tsv")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_manifest_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train\.tsv: no such manifest.*make_manifest\.py"):
        Manifest.read(tmp_path / "train.tsv")


def test_a_sidecar_of_another_manifest_is_an_error(tmp_path):
    Manifest(Path("/music"), ["a.wav"], np.array([1]), 24_000).write(tmp_path / "train.tsv")
    (tmp_path / "train.tsv").write_text("/music\na.wav\t1\nb.wav\t1\n")
    with pytest.raises(ValueError, match=r"train\.json: found 1 tracks, but train\.tsv lists 2"):
        Manifest.read(tmp_path / "train.tsv")
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(ValueError, match=r"train\.json: cannot be read"):
        Manifest.read(tmp_path / "train.tsv")
