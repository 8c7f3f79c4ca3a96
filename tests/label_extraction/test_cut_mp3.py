"""An MP3 without its last frame works in every stage, at the length in the manifest."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mert_fairseq.audio import AudioError, probe, read_span, stream_blocks
from mert_fairseq.labels import open_labels
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks.cli import main as check_data

RATE = 24_000


def write_mp3(path: Path, cut_bytes: int, seed: int) -> None:
    """4 s of noise and a tone."""
    wave = 0.1 * np.random.default_rng(seed).standard_normal(4 * RATE) + 0.2 * np.sin(np.arange(4 * RATE) * 0.1)
    soundfile.write(path, wave.clip(-1, 1), RATE, format="MP3", subtype="MPEG_LAYER_III")
    if cut_bytes:
        path.write_bytes(path.read_bytes()[:-cut_bytes])


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        write_mp3(folder / f"{number}.mp3", 100 if number == 1 else 0, number)
    return folder


def test_the_file_of_these_tests_is_shorter_than_its_header_says(music: Path) -> None:
    stated = probe(music / "1.mp3").samples
    decoded = sum(map(len, stream_blocks(music / "1.mp3")))
    assert 0 < stated - decoded < 0.1 * RATE


def test_a_cut_mp3_is_listed_fitted_labelled_checked_and_read(
    music: Path, tmp_path: Path, run_command: Callable[..., int]
) -> None:
    data = tmp_path / "data"
    assert run_command("make_manifest", music, data, "--group-by", "file", "--valid-fraction", 0, "--workers", 1) == 0
    manifest = Manifest.read(data / "train.tsv")
    assert list(manifest.paths) == ["0.mp3", "1.mp3", "2.mp3"]
    teacher = data / "rvq.npz"
    words = ["--codebooks", 2, "--codes", 8, "--workers", 1]
    assert run_command("extract_rvq_labels", "fit", data, "--teacher", teacher, *words) == 0
    words = ["--splits", "train", "--workers", 1]
    assert run_command("extract_rvq_labels", "apply", data, "--teacher", teacher, *words) == 0
    assert open_labels(data, "train", ["rvq_0", "rvq_1"]).frames[1] == -(-manifest.samples[1] // 320)
    assert check_data([str(data), "--decode", "all", "--workers", "1"]) == 0
    last = int(manifest.samples[1]) - RATE
    assert len(read_span(manifest.audio_path(1), last, RATE)) == RATE


def test_a_manifest_with_the_length_of_the_header_is_good_enough(music: Path) -> None:
    stated = probe(music / "1.mp3").samples
    end = read_span(music / "1.mp3", stated - RATE, RATE, "float32")
    whole = read_span(music / "1.mp3", dtype="float32")  # only what can be decoded
    missing = stated - len(whole)
    np.testing.assert_allclose(end[: RATE - missing], whole[-(RATE - missing) :], atol=1e-6)
    assert not end[RATE - missing :].any()


def test_more_than_a_tenth_of_a_second_missing_is_an_error_in_every_stage(music: Path, tmp_path: Path) -> None:
    path = music / "2.mp3"
    stated = probe(path).samples
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    with pytest.raises(AudioError, match=r"2\.mp3: found \d+ samples, expected the \d+ that its header states"):
        sum(map(len, stream_blocks(path)))
    with pytest.raises(AudioError, match=rf"expected samples {stated - RATE} to {stated}\. The file is truncated"):
        read_span(path, stated - RATE, RATE)
