"""The constant-Q transform, MERT's musical teacher (arXiv:2306.00107), without its 65,536-tap convolutions."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mert_fairseq.teachers.chunking import in_clips
from mert_fairseq.teachers.cqt_gather import GatherPlan, gather_cqt, gather_plan, to_device
from mert_fairseq.teachers.cqt_plan import HALF_WIDTH, CQTPlan, build_plan, circle_frames, cqt_geometry

BACKENDS = ("fft", "gather", "nnaudio")
MAX_PLANS = 12  # 5 to 30 MB each at the default settings
MAX_BLOCK_SAMPLES = 1 << 19  # longer clips are processed in blocks, so that plans and spectra do not grow with the clip
CLIPS_AT_ONCE = 8  # fit into a CPU core's cache at 5 s per clip
BINS_AT_ONCE = 16


class _Block(NamedTuple):
    """Consecutive frames of a clip, the number of context frames before them, and the samples to transform."""

    first: int
    last: int
    lead: int
    start: int
    stop: int


class CQTTeacher:
    """Magnitudes of the constant-Q transform, equal to nnAudio's ``features.cqt.CQT`` within 1e-4 of the peak.

    nnAudio's arguments are: hop_length, fmin, n_bins, bins_per_octave, filter_scale 1, norm 1, Hann, centred, zero
    padding, "Magnitude". A plain object without parameters or buffers: nothing of it is stored in checkpoints, and
    fp16 training does not convert it. Everything is float32 without gradients, even under autocast.

    Args:
        sample_rate: of the wave, in Hz.
        hop_samples: from one frame to the next.
        bins: number of frequencies.
        bins_per_octave: spacing of the frequencies.
        fmin_hz: of bin 0; 32.7 Hz is C1.
        backend: "fft" uses the algorithm that suits the wave's device; "gather" uses the GPU algorithm on every device;
            "nnaudio" is the reference (50 times slower, with 176 MB of kernels).
        longest_samples: longest kernel. Bins whose constant-Q kernel would be longer get this length: finer in time,
            coarser in frequency. None keeps constant Q in all bins, as nnAudio does.
        half_width: spectral values kept on either side of a kernel's centre, in units of its resolution. Twice as many
            make the error of short kernels five times smaller, and the transform of 168 bins a third slower.

    Raises:
        ValueError: if a size is not positive, a bin lies above the Nyquist frequency, or the backend is unknown.
    """

    def __init__(
        self,
        sample_rate: int = 24_000,
        hop_samples: int = 320,
        bins: int = 336,
        bins_per_octave: int = 48,
        fmin_hz: float = 32.7,
        backend: str = "fft",
        longest_samples: int | None = None,
        half_width: int = HALF_WIDTH,
    ):
        if min(sample_rate, hop_samples, bins, bins_per_octave, fmin_hz) <= 0:
            raise ValueError(
                f"CQT: sample_rate {sample_rate}, hop_samples {hop_samples}, bins {bins}, bins_per_octave "
                f"{bins_per_octave} and fmin_hz {fmin_hz:g} must all be above 0."
            )
        if backend not in BACKENDS:
            raise ValueError(f"CQT: found backend {backend!r}, expected one of {', '.join(BACKENDS)}.")
        self.sample_rate = sample_rate
        self.hop_samples = hop_samples
        self.bins = bins
        self.bins_per_octave = bins_per_octave
        self.fmin_hz = fmin_hz
        self.backend = backend
        self.geometry = cqt_geometry(
            sample_rate, hop_samples, bins, bins_per_octave, fmin_hz, longest_samples, half_width
        )
        self._plans: OrderedDict[Any, Any] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the plans out of copies and pickles; building one again takes a tenth of a second."""
        return {**self.__dict__, "_plans": OrderedDict()}

    def num_frames(self, samples: int) -> int:
        """Number of frames of a clip: one at sample 0, then one per hop."""
        return samples // self.hop_samples + 1

    def __call__(self, wave: Tensor) -> Tensor:
        """Transform a batch of clips.

        Args:
            wave: (B, T) float32 or float64 in [-1, 1], mono, before any mixing; silence is assumed beyond both ends.

        Returns:
            (B, T // hop_samples + 1, bins) float32.

        Raises:
            TypeError: if the wave is half precision or integer.
            ValueError: if it is not (B, T), or empty.
        """
        if self.backend == "nnaudio":
            return in_clips(wave, "CQT", CLIPS_AT_ONCE, self._nnaudio)
        gather = self.backend == "gather" or wave.device.type != "cpu"
        return in_clips(wave, "CQT", len(wave) if gather else CLIPS_AT_ONCE, self._gather if gather else self._fft)

    def _fft(self, wave: Tensor) -> Tensor:
        """(B, T) to (B, F, bins), bin by bin."""
        out = wave.new_empty(wave.shape[0], self.num_frames(wave.shape[1]), self.bins)
        for block in self._blocks(wave.shape[1]):
            plan = self.plan(block.stop - block.start, wave.device)
            spectrum = torch.fft.rfft(wave[:, block.start : block.stop], n=plan.samples)
            planes = wave.new_empty(2 * len(wave), plan.before + spectrum.shape[1] + plan.after)
            magnitudes = wave.new_empty(len(wave), self.bins, block.last - block.first)
            for half_sample in (False, True):
                _split(plan, spectrum, half_sample, planes)
                _fill(plan, planes, half_sample, block.lead, magnitudes)
            out[:, block.first : block.last] = magnitudes.transpose(1, 2)
        return out

    def _gather(self, wave: Tensor) -> Tensor:
        """(B, T) to (B, F, bins), all clips and many bins at once."""
        parts = []
        for block in self._blocks(wave.shape[1]):
            plan = self._gather_plan(block.stop - block.start, wave.device)
            magnitudes = gather_cqt(plan, wave[:, block.start : block.stop])
            parts.append(magnitudes[..., block.lead : block.lead + block.last - block.first].transpose(1, 2))
        return torch.cat(parts, dim=1)

    def _blocks(self, samples: int) -> Iterator["_Block"]:
        """Cut a long clip into blocks, with the context that their kernels need."""
        frames = self.num_frames(samples)
        context_frames = -(-self.geometry.context_samples // self.hop_samples)
        block_frames = max(MAX_BLOCK_SAMPLES // self.hop_samples, 8 * context_frames)
        for first in range(0, frames, block_frames):
            last = min(first + block_frames, frames)
            lead = min(first, context_frames)
            start = (first - lead) * self.hop_samples
            stop = min(samples, (last - 1) * self.hop_samples + self.geometry.context_samples + 1)
            yield _Block(first, last, lead, start, stop)

    def plan(self, samples: int, device: torch.device) -> CQTPlan:
        """The plan for clips of ``samples`` on ``device``. Similar lengths share plans; the last few are cached."""
        frames = circle_frames(self.geometry, samples)
        return self._cached((frames, device), lambda: build_plan(self.geometry, frames, device))

    def _gather_plan(self, samples: int, device: torch.device) -> GatherPlan:
        frames = circle_frames(self.geometry, samples)

        def build() -> GatherPlan:
            return to_device(gather_plan(build_plan(self.geometry, frames, torch.device("cpu"))), device)

        return self._cached((frames, device, "gather"), build)

    def _nnaudio(self, wave: Tensor) -> Tensor:
        def build() -> Any:
            from nnAudio.features.cqt import CQT

            return CQT(
                sr=self.sample_rate,
                hop_length=self.hop_samples,
                fmin=self.fmin_hz,
                n_bins=self.bins,
                bins_per_octave=self.bins_per_octave,
                filter_scale=1,
                norm=1,
                window="hann",
                center=True,
                pad_mode="constant",
                trainable=False,
                output_format="Magnitude",
                verbose=False,
            ).to(wave.device)

        return self._cached(("nnaudio", wave.device), build)(wave).transpose(1, 2)

    def _cached(self, key: Any, build: Any) -> Any:
        if key not in self._plans:
            self._plans[key] = build()
            if len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return self._plans[key]


def _split(plan: CQTPlan, spectrum: Tensor, half_sample: bool, planes: Tensor) -> None:
    """Write the spectrum into ``planes`` (2 B, width): real parts, then imaginary parts, mirrored at both ends.

    The mirroring is that of a real wave's spectrum. In planes, a kernel's real values multiply contiguous floats. With
    ``half_sample`` the spectrum is first changed, in place, to that of the wave moved by half a sample, where kernels
    of odd length have their centre.
    """
    clips, inner = spectrum.shape
    mirror_sign = 1
    if half_sample:
        spectrum.mul_(plan.half_sample_shift)
        mirror_sign = -1  # half a sample is half a turn at the sampling rate
    for part, rows, sign in ((spectrum.real, planes[:clips], 1), (spectrum.imag, planes[clips:], -1)):
        rows[:, plan.before : plan.before + inner] = part
        rows[:, : plan.before] = sign * part[:, 1 : plan.before + 1].flip(1)
        rows[:, plan.before + inner :] = sign * mirror_sign * part[:, inner - 1 - plan.after : -1].flip(1)


def _fill(plan: CQTPlan, planes: Tensor, half_sample: bool, lead: int, out: Tensor) -> None:
    """Weight, fold and invert the bins of even (or odd) kernel length into ``out`` (B, bins, F), from ``lead`` on."""
    clips, _, frames = out.shape
    chosen = [k for k, kernel in enumerate(plan.bins) if kernel.half_sample == half_sample]
    folded = planes.new_empty(2 * clips, BINS_AT_ONCE, plan.frames)
    for at in range(0, len(chosen), BINS_AT_ONCE):
        group = chosen[at : at + BINS_AT_ONCE]
        for place, k in enumerate(group):
            _, first, values = plan.bins[k]
            rows = planes[:, first : first + values.numel()].view(2 * clips, *values.shape)
            torch.sum(rows * values, 1, out=folded[:, place])
        parts = folded[:, : len(group)]
        series = torch.fft.ifft(torch.complex(parts[:clips], parts[clips:]))[..., lead : lead + frames]
        out[:, group] = series.real.square().addcmul_(series.imag, series.imag).sqrt_()
