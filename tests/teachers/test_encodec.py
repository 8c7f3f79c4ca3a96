"""The EnCodec teacher against the package's encode of the whole track."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from encodec import EncodecModel
from random_encodec import random_encodec

from mert_fairseq.teachers.encodec import CHECKPOINT, EncodecTeacher, load_encodec
from mert_fairseq.teachers.streaming import StreamingEncoder

CHUNK = 8 * 320


@pytest.fixture(scope="module")
def model() -> Any:
    return random_encodec()


def music(samples: int, seed: int = 0) -> np.ndarray:
    """Decaying tones in noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / 24_000
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in rng.uniform(60, 4000, 5))
    return (0.1 * tones * np.exp(-time % 0.5) + 0.02 * rng.standard_normal(samples)).astype(np.float32)


def blocks(wave: np.ndarray) -> list[np.ndarray]:
    return np.split(wave, range(777, len(wave), 5555))


def reference(model: Any, wave: np.ndarray) -> np.ndarray:
    """(frames, Q) codes of the package, the whole track in one pass."""
    with torch.inference_mode():
        return model.encode(torch.from_numpy(wave)[None, None])[0][0][0].T.numpy()


@pytest.mark.parametrize("samples", [1, 5, 320, 321, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 4 * CHUNK - 319])
def test_chunks_have_the_codes_of_the_whole_track(model: Any, samples: int) -> None:
    wave = music(samples)
    teacher = EncodecTeacher(model, "cpu", chunk_frames=8)
    found = np.concatenate(list(teacher.codes(blocks(wave))))
    assert found.shape == (-(-samples // 320), 8)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, reference(model, wave))


def test_codes_are_spread_over_the_codebooks(model: Any) -> None:
    codes = reference(model, music(24_000))
    assert min(len(np.unique(column)) for column in codes.T) > 20  # or equality would mean little


def test_tracks_in_a_batch_have_the_same_codes_as_alone(model: Any) -> None:
    lengths = [12_807, 9600, 9000, 1, 6400]
    waves = [music(samples, seed) for seed, samples in enumerate(lengths)]
    parts: list[list[np.ndarray]] = [[] for _ in lengths]
    for place, codes in EncodecTeacher(model, "cpu", chunk_frames=10).codes_of_batch([blocks(wave) for wave in waves]):
        parts[place].append(codes)
    for wave, found in zip(waves, parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(found), reference(model, wave))


@pytest.mark.slow
def test_at_most_one_code_in_ten_thousand_differs_by_rounding(model: Any) -> None:
    differing = total = 0
    teacher = EncodecTeacher(model, "cpu")
    for seed in range(20):
        wave = music(240_000 + 1000 * seed, seed)
        expected = reference(model, wave)
        differing += int((np.concatenate(list(teacher.codes(blocks(wave)))) != expected).sum())
        total += expected.size
    assert total > 100_000
    assert differing <= total / 10_000


def test_padding_a_batch_would_change_codes(model: Any) -> None:
    # why tracks of unlike length are not padded to a batch: the fault that carried state avoids
    wave = music(9007)
    padded = np.concatenate([wave, np.zeros(3000, np.float32)])
    expected = reference(model, wave)
    assert (reference(model, padded)[: len(expected)] != expected).any()


def test_codes_do_not_depend_on_the_block_size(model: Any) -> None:
    wave = music(8000)
    teacher = EncodecTeacher(model, "cpu", chunk_frames=8)
    codes = [np.concatenate(list(teacher.codes(np.split(wave, range(0, 8000, size))))) for size in (320, 777, 8000)]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])


def test_there_are_eight_codebooks_of_1024_codes_at_75_hz(model: Any) -> None:
    teacher = EncodecTeacher(model, "cpu")
    assert (teacher.sample_rate, teacher.label_rate_hz, teacher.codebook_sizes) == (24_000, 75.0, [1024] * 8)
    assert sum(len(codes) for codes in teacher.codes([music(120_000)])) == 375


def test_weights_load_from_a_file_or_its_folder_and_are_checked(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "weights.th"
    torch.save(model.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded, found = load_encodec(path, digest)
    assert found == digest
    wave = music(5000)
    np.testing.assert_array_equal(reference(loaded, wave)[:, 0], reference(model, wave)[:, 0])
    with pytest.raises(ValueError, match=f"found SHA-256 {digest}, expected it to begin with abcd1234"):
        load_encodec(path, "abcd1234")
    with pytest.raises(FileNotFoundError, match=f"Give the file, or the folder that holds {CHECKPOINT}"):
        load_encodec(tmp_path)
    named = tmp_path / CHECKPOINT
    path.rename(named)
    with pytest.raises(ValueError, match="expected it to begin with d7cc33bc"):  # as in the file name
        load_encodec(tmp_path)
    assert load_encodec(tmp_path, digest[:12])[1] == digest
    path = tmp_path / f"mine-{digest[:8]}.th"
    named.rename(path)
    assert load_encodec(path)[1] == digest


def test_without_a_file_the_package_downloads_its_own(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = EncodecModel.encodec_model_24khz

    def download(pretrained: bool = True) -> Any:
        if pretrained:
            (tmp_path / "checkpoints").mkdir()
            torch.save(model.state_dict(), tmp_path / "checkpoints" / CHECKPOINT)
        return make(pretrained=False)

    monkeypatch.setattr(EncodecModel, "encodec_model_24khz", staticmethod(download))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match="expected it to begin with d7cc33bc"):  # these are not the published weights
        load_encodec()


def test_weights_of_another_model_are_an_error(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.th")
    with pytest.raises(ValueError, match="expected the weights of EnCodec's 24 kHz model"):
        load_encodec(tmp_path / "a.th")
    (tmp_path / "b.th").write_bytes(b"junk")
    with pytest.raises(ValueError, match="expected the weights of EnCodec's 24 kHz model"):
        load_encodec(tmp_path / "b.th")


def test_the_48_khz_model_is_an_error(model: Any) -> None:
    other = EncodecModel.encodec_model_48khz(pretrained=False)
    with pytest.raises(ValueError, match="found a model for 48000 Hz and 2 channels, expected the 24 kHz mono model"):
        EncodecTeacher(other, "cpu")
    with pytest.raises(ValueError, match="expected a causal, undilated convolution"):
        StreamingEncoder(other.encoder)
    with pytest.raises(ValueError, match="found chunk_frames 7, expected at least 8"):
        EncodecTeacher(model, "cpu", chunk_frames=7)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_has_the_codes_of_the_cpu_except_for_rounding(model: Any) -> None:
    wave = music(240_000)
    found = np.concatenate(list(EncodecTeacher(model, "cuda").codes(blocks(wave))))
    assert (found != reference(model.cpu(), wave)).mean() < 1e-2


@pytest.mark.slow
def test_memory_does_not_grow_with_the_track() -> None:
    """Runs in a separate process, because peak memory never decreases."""
    script = (
        "import numpy as np, torch; from random_encodec import random_encodec\n"
        "from mert_fairseq.teachers.encodec import EncodecTeacher\n"
        "torch.set_num_threads(1); teacher = EncodecTeacher(random_encodec(), 'cpu')\n"
        "status = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) / 1024\n"
        "block = 0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32)\n"
        "for seconds in (30, 240): print(sum(map(len, teacher.codes(block for _ in range(seconds)))), status())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    short, long = (line.split() for line in done.stdout.splitlines())
    assert (int(short[0]), int(long[0])) == (30 * 75, 240 * 75)
    assert float(long[1]) < 1.05 * float(short[1]) < 2000  # MiB; the longer wave alone would take 22 more


@pytest.mark.parametrize("error", [URLError(OSError(-2, "Name unknown")), RuntimeError("invalid hash value")])
def test_without_a_network_the_error_says_where_to_download_the_weights(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_args: object, **_settings: object) -> None:
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(
        OSError, match=r"cannot be downloaded \(.*(unknown|hash).*\). Download https://.*--weights FILE"
    ):
        load_encodec()
