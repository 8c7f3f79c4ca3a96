"""Baselines without a trained model: frames of log-mel, MFCC, chroma and CQT at 75 Hz of 24 kHz."""

from functools import lru_cache

from torch import Tensor

from mert_fairseq.teachers.cqt import CQTTeacher
from mert_fairseq.teachers.features import FrameFeatures

KINDS = ("mfcc", "logmel", "chroma", "cqt")
CQT_BINS, CQT_BINS_PER_OCTAVE = 84, 12  # a bin per semitone, seven octaves from C1
FLOOR = 1e-5


@lru_cache
def _features(kind: str) -> FrameFeatures:
    return FrameFeatures(kind)


@lru_cache
def _cqt() -> CQTTeacher:
    return CQTTeacher(bins=CQT_BINS, bins_per_octave=CQT_BINS_PER_OCTAVE)


def frames_of(kind: str, wave: Tensor) -> Tensor:
    """Frames of one wave.

    Args:
        kind: one of KINDS.
        wave: (T,) float32 at 24 kHz.

    Returns:
        (F, D) float32: D is 39 (MFCC with differences), 128 (log-mel), 12 (chroma) or 84 (logarithm of the CQT).
    """
    if kind == "cqt":
        return (_cqt()(wave[None].cpu())[0, : -(-wave.shape[0] // 320)] + FLOOR).log()
    return _features(kind)(wave.cpu())
