"""The CQT teacher against nnAudio, and by hand."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mert_fairseq.teachers import cqt as cqt_module
from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.cqt_plan import circle_frames, cqt_geometry, kernel_spectrum

SMALL = {"sample_rate": 8000, "hop_samples": 100, "bins": 60, "bins_per_octave": 12, "fmin_hz": 65.4}


def clips(samples: int, sample_rate: int) -> Tensor:
    """Noise, a sweep over all bins, two clicks, and silence."""
    time = torch.arange(samples, dtype=torch.float64) / sample_rate
    seconds = max(samples / sample_rate, 1e-3)
    noise = 0.2 * torch.randn(samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sweep = torch.sin(2 * np.pi * 30 * seconds / np.log(200) * (200 ** (time / seconds) - 1))
    click = torch.zeros(samples, dtype=torch.float64)
    click[[0, samples // 2]] = 1.0
    return torch.stack([noise, sweep, click, torch.zeros_like(time)]).float()


def worst_error(found: Tensor, expected: Tensor) -> float:
    """Largest error of each clip, divided by the clip's peak (by 1 for silence)."""
    assert found.shape == expected.shape
    peak = expected.flatten(1).max(1).values
    return ((found - expected).abs().flatten(1).max(1).values / torch.where(peak > 0, peak, 1)).max().item()


def tone(frequency_hz: float, samples: int = 48_000) -> Tensor:
    return torch.sin(2 * np.pi * frequency_hz * torch.arange(samples, dtype=torch.float64) / 24_000)[None].float()


@pytest.fixture(scope="module")
def published() -> tuple[CQTTeacher, CQTTeacher]:
    return CQTTeacher(), CQTTeacher(backend="nnaudio")


@pytest.mark.parametrize("samples", [120_000, 24_123, 319, 1])
def test_cqt_equals_nnaudio_to_a_ten_thousandth_of_the_peak(published: tuple, samples: int) -> None:
    ours, reference = published
    wave = clips(samples, 24_000)[: 4 if samples < 100_000 else 2]
    found = ours(wave)
    assert found.shape == (len(wave), samples // 320 + 1, 336)
    assert found.dtype == torch.float32
    assert worst_error(found, reference(wave)) < 1e-4


@pytest.mark.parametrize("samples", [1, 99, 100, 101, 12_345])
@pytest.mark.parametrize("hop", [100, 97, 441])
def test_any_length_and_hop_equals_nnaudio(samples: int, hop: int) -> None:
    wave = clips(samples, 8000)
    found = CQTTeacher(**{**SMALL, "hop_samples": hop})(wave)
    expected = CQTTeacher(**{**SMALL, "hop_samples": hop}, backend="nnaudio")(wave)
    assert worst_error(found, expected) < 1e-4


def test_kernels_that_reach_below_zero_and_above_nyquist_equal_nnaudio() -> None:
    settings = {"sample_rate": 8000, "hop_samples": 64, "bins": 41, "bins_per_octave": 6, "fmin_hz": 38.0}
    wave = clips(6001, 8000)
    assert worst_error(CQTTeacher(**settings)(wave), CQTTeacher(**settings, backend="nnaudio")(wave)) < 1e-4


def test_a_long_clip_in_blocks_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    wave = clips(60_123, 8000)
    whole = CQTTeacher(**SMALL)(wave)
    monkeypatch.setattr(cqt_module, "MAX_BLOCK_SAMPLES", 1)  # falls back to eight kernels a block
    teacher = CQTTeacher(**SMALL)
    blocks = teacher(wave)
    assert max(key[0] for key in teacher._plans) * 100 < 30_000
    assert worst_error(blocks, whole) < 1e-4


@pytest.mark.parametrize("samples", [120_000, 24_123, 1])
def test_the_gpu_algorithm_equals_the_cpu_algorithm_to_a_millionth_of_the_peak(samples: int) -> None:
    wave = clips(samples, 24_000)
    assert worst_error(CQTTeacher(backend="gather")(wave), CQTTeacher()(wave)) < 1e-6


def test_the_gpu_algorithm_mirrors_at_zero_and_nyquist_and_splits_long_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"sample_rate": 8000, "hop_samples": 64, "bins": 41, "bins_per_octave": 6, "fmin_hz": 38.0}
    monkeypatch.setattr(cqt_module, "MAX_BLOCK_SAMPLES", 1)
    wave = clips(40_001, 8000)
    assert worst_error(CQTTeacher(**settings, backend="gather")(wave), CQTTeacher(**settings)(wave)) < 1e-6


@pytest.mark.parametrize("count", [1, 16, 128])
def test_the_gpu_algorithm_needs_tens_of_launches_at_any_batch_size(count: int) -> None:
    teacher = CQTTeacher(backend="gather")
    teacher(torch.zeros(1, 120_000))  # builds the plan
    with FakeTensorMode(allow_non_fake_inputs=True), Operations() as operations:
        assert teacher(torch.empty(count, 120_000)).shape == (count, 376, 336)
    assert operations.count <= 60


class Operations(TorchDispatchMode):
    """Counts PyTorch operations except views: at least as many as kernel launches on a GPU."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        self.count += func.namespace == "aten" and not views
        return func(*args, **(kwargs or {}))


def test_440_hz_peaks_in_bin_180_and_an_octave_up_48_bins_higher(published: tuple) -> None:
    # 440 Hz is 48 * log2(440 / 32.7) = 180.007 bins above 32.7 Hz
    middle = published[0](tone(440.0))[0, 75]
    assert middle.argmax() == 180
    assert published[0](tone(880.0))[0, 75].argmax() == 228
    # half of a sine's amplitude turns with the kernel, whose sum is sqrt(length): 68.75 periods, 3751 samples
    assert middle[180].item() == pytest.approx(np.sqrt(3751) / 2, rel=1e-3)


def test_a_clip_has_the_same_result_alone_and_in_a_batch() -> None:
    wave = torch.randn(11, 4000, generator=torch.Generator().manual_seed(3))
    teacher = CQTTeacher(**SMALL)
    batch = teacher(wave)
    torch.testing.assert_close(torch.cat([teacher(clip[None]) for clip in wave]), batch, rtol=1e-5, atol=1e-5)


def test_the_kernel_spectrum_is_the_transform_of_the_window() -> None:
    frequencies = np.array([0.0, 1 / 400, -1 / 400, 0.0123, 0.25, -0.4])
    for length in (400, 401):
        times = np.arange(length) - length / 2
        window = 0.5 + 0.5 * np.cos(2 * np.pi * times / length)
        direct = (window * np.exp(-2j * np.pi * frequencies[:, None] * times)).sum(1) * 2 / length * np.sqrt(length)
        np.testing.assert_allclose(kernel_spectrum(frequencies, length), direct, atol=1e-5)


def test_circles_hold_the_clip_and_half_the_longest_kernel() -> None:
    geometry = cqt_geometry(24_000, 320, 336, 48, 32.7)
    assert geometry.lengths.max() == 50_460  # ceil(68.751 * 24000 / 32.7)
    assert circle_frames(geometry, 120_000) == 480  # (120000 + 25230) / 320 = 453.8
    for samples in range(1, 200_000, 777):
        frames = circle_frames(geometry, samples)
        assert frames % 2 == 0
        assert samples + geometry.context_samples <= frames * 320 <= 1.3 * (samples + geometry.context_samples)


def test_plans_are_shared_limited_in_number_and_left_out_of_copies() -> None:
    teacher = CQTTeacher(**SMALL)
    teacher(torch.zeros(1, 4000))
    teacher(torch.zeros(1, 4001))
    assert len(teacher._plans) == 1
    for frames in (15, 16, 18, 20, 24, 30, 32, 36, 40, 48, 60, 64, 72, 80, 96):
        teacher.plan(100 * (frames - 11), torch.device("cpu"))  # 11 frames of silence are added
    assert len(teacher._plans) == cqt_module.MAX_PLANS
    for twin in (copy.deepcopy(teacher), pickle.loads(pickle.dumps(teacher))):
        assert not twin._plans
        assert twin(torch.zeros(1, 200)).shape == (1, 3, 60)


def test_a_teacher_adds_nothing_to_the_checkpoint_of_its_module() -> None:
    module = torch.nn.Linear(1, 1)
    module.teacher = CQTTeacher(**SMALL)
    module.teacher(torch.zeros(1, 1000))
    assert set(module.half().state_dict()) == {"weight", "bias"}
    assert module.teacher(torch.zeros(1, 1000)).dtype == torch.float32


def test_float32_under_autocast_and_without_gradients() -> None:
    wave = torch.randn(2, 4000, generator=torch.Generator().manual_seed(1), requires_grad=True)
    teacher = CQTTeacher(**SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = teacher(wave)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    assert torch.equal(found, teacher(wave.detach()))


@pytest.mark.parametrize("dtype", [torch.half, torch.bfloat16, torch.int16])
def test_other_precisions_are_an_error_with_the_remedy(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"CQT: the wave is {dtype}, expected torch.float32.*wave.float\(\) / 32768"):
        CQTTeacher(**SMALL)(torch.zeros(1, 1000, dtype=dtype))


@pytest.mark.parametrize("shape", [(1000,), (1, 2, 1000), (1, 0), (0, 100)])
def test_other_shapes_are_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(clips, samples\)"):
        CQTTeacher(**SMALL)(torch.zeros(shape))


def test_a_bin_above_nyquist_is_an_error() -> None:
    with pytest.raises(
        ValueError,
        match=r"found the highest of 400 bins at 10395\.\d Hz, expected it below the Nyquist frequency of 8000",
    ):
        CQTTeacher(sample_rate=16_000, bins=400)


def test_invalid_settings_are_an_error() -> None:
    with pytest.raises(ValueError, match="hop_samples 0, .* must all be above 0"):
        CQTTeacher(hop_samples=0)
    with pytest.raises(ValueError, match="found backend 'librosa', expected one of fft, gather, nnaudio"):
        CQTTeacher(backend="librosa")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_equals_the_cpu() -> None:
    wave = clips(24_123, 24_000)
    teacher = CQTTeacher()
    assert worst_error(teacher(wave.cuda()).cpu(), teacher(wave)) < 1e-5
