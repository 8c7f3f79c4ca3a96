"""ONNX files: values of the checkpoint at any batch and length, without torch."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch
from hf.tiny_pretraining import random_wave, save_pretraining

from mert_fairseq.extraction import load_encoder
from mert_fairseq.hf import onnx_export
from mert_fairseq.hf.onnx_command import main
from mert_fairseq.hf.onnx_export import export_onnx

LAYERS = 3


def assert_equal_to_the_checkpoint(checkpoint, file, layers):
    encoder = load_encoder(checkpoint, "cpu")
    session = onnxruntime.InferenceSession(file)
    names = [f"layer_{layer}" for layer in layers]
    assert [output.name for output in session.get_outputs()] == names
    # 400 samples give one frame; 31,337 is no multiple of the hop
    for clips, samples in ((1, 400), (2, 24_000), (3, 31_337)):
        wave = random_wave(clips, samples)
        found = session.run(names, {"wave": wave.numpy()})
        expected = encoder.layers(wave, layers)
        for index, frames in enumerate(found):
            assert frames.shape == tuple(expected[:, index].shape)
            difference = np.abs(frames - expected[:, index].numpy()).max()
            assert difference <= 1e-4 * expected[:, index].abs().max()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A pre-norm model trained on normalised waves, and layers 0 and 3 of it."""
    folder = tmp_path_factory.mktemp("onnx")
    save_pretraining(folder / "mert.pt", layer_norm_first=True, extractor_mode="default", normalize=True)
    export_onnx(folder / "mert.pt", folder / "mert.onnx", [3, 0])
    return folder


def test_chosen_layers_equal_the_checkpoints_at_any_batch_and_length(exported):
    assert_equal_to_the_checkpoint(exported / "mert.pt", exported / "mert.onnx", [0, 3])


def test_the_file_says_its_rates_and_needs_no_second_file(exported):
    assert sorted(path.name for path in exported.iterdir()) == ["mert.onnx", "mert.pt"]
    facts = onnxruntime.InferenceSession(exported / "mert.onnx").get_modelmeta().custom_metadata_map
    assert facts == {"sample_rate": "24000", "frame_rate_hz": "75", "shortest_samples": "400"}


def test_the_example_runs_where_torch_cannot_be_imported(exported, repo_root, tmp_path):
    wave = random_wave(clips=1, samples=36_000)[0].numpy()
    soundfile.write(tmp_path / "song.wav", wave, 24_000, subtype="FLOAT")
    without_torch = (
        "import sys, runpy; sys.modules['torch'] = None; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", without_torch, str(repo_root / "examples/use/onnx_session.py"),
         str(exported / "mert.onnx"), "song.wav", "--out", "song.npz", "--window", "1"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    features = np.load(tmp_path / "song.npz")
    assert features["layer_3"].shape == (2, 16)  # 1 s and the half second that is left
    expected = load_encoder(exported / "mert.pt", "cpu").layers(torch.from_numpy(wave[None, :24_000]), [3]).mean(2)
    np.testing.assert_allclose(features["layer_3"][0], expected[0, 0], atol=1e-4)


def test_a_graph_that_differs_is_not_kept(tmp_path, monkeypatch):
    def tampered(source, cfg, layers):
        graph = build(source, cfg, layers)
        with torch.no_grad():
            graph.model.encoder.layers[0].feed_forward.output_dense.bias[0] += 0.01
        return graph

    build = onnx_export._graph
    monkeypatch.setattr(onnx_export, "_graph", tampered)
    save_pretraining(tmp_path / "mert.pt")
    with pytest.raises(ValueError, match="in onnxruntime: layer 1 differs from the checkpoint"):
        export_onnx(tmp_path / "mert.pt", tmp_path / "mert.onnx", [0, 1])
    assert [path.name for path in tmp_path.iterdir()] == ["mert.pt"]


def test_wrong_input_is_said_in_one_line(tmp_path, capsys):
    save_pretraining(tmp_path / "mert.pt")
    save_pretraining(tmp_path / "conformer.pt", layer_type="conformer")
    (tmp_path / "there.onnx").write_text("mine")
    for arguments, message in (
        (["mert.pt", "out.onnx", "--layers", "4"], "has no layer 4, expected 0 to 3"),
        (["conformer.pt", "out.onnx"], "the ONNX graph cannot hold layer_type or encoder_layer_types: conformer"),
        (["none.pt", "out.onnx"], "no such checkpoint"),
        (["mert.pt", "there.onnx"], "exists already"),
    ):
        paths = [str(tmp_path / name) for name in arguments[:2]]
        assert main([*paths, *arguments[2:]]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert (tmp_path / "there.onnx").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"deepnorm": True},
        {"subln": True, "layer_norm_first": True},
        {"do_cnn_feat_stable_layernorm": True, "wav_normalize": True},
        {"encoder_layer_ffn_dims": [8, 16, 24], "encoder_layer_heads": [1, 2, 4], "pos_conv_depth": 3},
        {"conv_pos": 0, "encoder_embed_dim": 8},
        {"front_end": "spectral"},
        {"front_end": "both", "feature_extractor_cqt_bins": 84},
        {"conv_pos": 7, "attention_relax": 32.0},
    ],
)
def test_every_kind_of_encoder_is_exported(tmp_path, options):
    save_pretraining(tmp_path / "mert.pt", **options)
    export_onnx(tmp_path / "mert.pt", tmp_path / "mert.onnx", None)
    assert_equal_to_the_checkpoint(tmp_path / "mert.pt", tmp_path / "mert.onnx", range(LAYERS + 1))
