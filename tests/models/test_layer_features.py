"""A layer's output as features: frame rate, windows, equality with the model's output."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from tiny_checkpoint import write_checkpoint

from mert_fairseq.models import layer_features
from mert_fairseq.models.layer_features import LayerFeatures, features_from_settings


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint_last.pt")


def noise(samples: int) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("samples", [1, 320, 321, 24_000])
def test_a_track_has_one_row_per_label(checkpoint: Path, samples: int) -> None:
    features = LayerFeatures(str(checkpoint), 1)
    rows = features(noise(samples))
    assert rows.shape == (-(-samples // 320), 16)
    assert (features.sample_rate, features.hop_samples, features.label_rate_hz) == (24_000, 320, 75.0)


@pytest.mark.parametrize("layer", [1, 2])
def test_rows_equal_the_layers_output(checkpoint: Path, layer: int) -> None:
    wave = noise(24_000)  # 75 hops; the receptive field is 80 samples longer than a hop, here silence
    silence = torch.zeros(80)
    model = load_model_ensemble_and_task([str(checkpoint)])[0][0].eval()
    with torch.no_grad():
        result = model(torch.cat([wave, silence])[None], mask=False, features_only=True)
    expected = result["layer_results"][layer - 1][0]
    expected = expected[:, 0] if expected.shape[1] == 1 else expected[0]
    found = LayerFeatures(str(checkpoint), layer)(wave)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_long_tracks_are_cut_into_windows_with_context(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_features, "CORE_SECONDS", 1.0)
    monkeypatch.setattr(layer_features, "CONTEXT_SECONDS", 0.2)
    features, wave = LayerFeatures(str(checkpoint), 2), noise(60_001)
    streamed = np.concatenate(list(features.stream(np.split(wave.numpy(), range(0, 60_001, 7777)))))
    assert streamed.shape == (188, 16)
    middle = features(wave[24_000 - 15 * 320 : 48_000 + 15 * 320])[15:90]
    np.testing.assert_allclose(streamed[75:150], middle.numpy(), atol=1e-5)


def test_models_trained_on_normalised_waves_get_normalised_waves(tmp_path: Path) -> None:
    features = LayerFeatures(str(write_checkpoint(tmp_path / "n.pt", normalize=True)), 1)
    wave = noise(8000)
    torch.testing.assert_close(features(wave), features(0.01 * wave + 0.3), atol=1e-2, rtol=1e-2)


def test_features_are_rebuilt_from_their_settings(checkpoint: Path, tmp_path: Path) -> None:
    features = LayerFeatures(str(checkpoint), 2)
    assert features.settings["kind"] == "mert"
    assert features.name == "mert2"
    assert features_from_settings(features.settings) == features
    moved = tmp_path / "moved.pt"
    moved.write_bytes(checkpoint.read_bytes())
    assert features_from_settings(features.settings, str(moved)).sha256 == features.sha256


def test_missing_layers_and_wrong_files_are_errors(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 2 layers, expected layer 3. Set --layer 1 to 2"):
        LayerFeatures(str(checkpoint), 3)
    with pytest.raises(FileNotFoundError, match="no such checkpoint. Pass the .pt file"):
        LayerFeatures(str(tmp_path / "none.pt"), 1)
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(ValueError, match="junk.pt: damaged, not a fairseq checkpoint"):
        LayerFeatures(str(tmp_path / "junk.pt"), 1)
    settings, other = LayerFeatures(str(checkpoint), 2).settings, write_checkpoint(tmp_path / "other.pt", seed=1)
    with pytest.raises(ValueError, match="fitted on the features of another checkpoint"):
        features_from_settings(settings, str(other))
