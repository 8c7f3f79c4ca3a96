"""Fit a teacher on a manifest: errors name wrong tracks, and impossible requests fail before any work."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from label_corpus import LABEL_RATE_HZ, SAMPLE_RATE, write_audio

from mert_fairseq.label_extraction import LabelJobError, cli, fit_teacher
from mert_fairseq.teachers.features import FrameFeatures

FEATURES = FrameFeatures("logmel", SAMPLE_RATE, LABEL_RATE_HZ, 16)


def overwrite(manifest: Path, wave: np.ndarray) -> None:
    soundfile.write(manifest.parent / "audio/train001.wav", wave, SAMPLE_RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.r_[np.zeros(77), np.nan, np.zeros(7922)], "found NaN or infinity"),
        (np.full(8000, 1e30), "found NaN or infinity in row 0"),
        (np.zeros(3), "found 3 samples, expected the manifest's 8000"),
        (np.zeros(0), "found 0 samples, expected the manifest's 8000"),
    ],
    ids=["NaN", "overflow", "length", "empty"],
)
def test_a_wrong_track_is_named(tmp_path: Path, wave: np.ndarray, message: str) -> None:
    manifest = write_audio(tmp_path, [8000] * 3)
    overwrite(manifest, wave)
    with pytest.raises(LabelJobError, match=f"train001.wav: .*{message}.*Repair the file, or make the manifest again"):
        fit_teacher(manifest, FEATURES, 2, 8)


def test_silence_makes_no_teacher(tmp_path: Path) -> None:
    manifest = write_audio(tmp_path, [8000] * 2)
    for track in range(2):
        soundfile.write(tmp_path / f"audio/train00{track}.wav", np.zeros(8000), SAMPLE_RATE)
    with pytest.raises(
        ValueError, match="found 100 frames, 1 of them distinct, expected 8 or more, one per class. .* not silent"
    ):
        fit_teacher(manifest, FEATURES, 2, 8)


def test_fewer_frames_than_codes_are_an_error_before_any_file_is_opened(tmp_path: Path) -> None:
    manifest = write_audio(tmp_path, [8000])
    (tmp_path / "audio/train000.wav").unlink()
    with pytest.raises(ValueError, match="at most 5 frames to cluster, expected 8 or more"):
        fit_teacher(manifest, FEATURES, 2, 8, max_frames=5)


def test_an_interrupted_fit_says_that_it_starts_anew(
    tmp_path: Path, run_command: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "fit_teacher", interrupt)
    assert run_command("extract_rvq_labels", "fit", tmp_path, "--teacher", tmp_path / "t.npz") == 130
    assert (
        "fit: interrupted; nothing was saved, and the same command starts again from the beginning"
        in capsys.readouterr().err
    )
