"""The export as MARBLE's code reads it: the documented steps, as far as they need none of that code."""

import json

import numpy as np
import pytest
import torch
from tiny_mert import save_tiny_mert

from mert_fairseq.extraction import load_encoder
from mert_fairseq.hf.export_command import main as export

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("marble")
    save_tiny_mert(root / "model.pt", encoder_layerdrop=0.0)
    assert export([str(root / "model.pt"), str(root / "export"), "--no-heads"]) == 0
    return root


def test_the_loaders_of_version_1_read_the_export_and_hidden_states_are_ours(folders):
    model = transformers.AutoModel.from_pretrained(str(folders / "export")).eval()
    processor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(str(folders / "export"))
    assert processor.sampling_rate == 24_000
    wave = np.random.default_rng(0).standard_normal(24_000).astype(np.float32) / 5
    batch = processor(wave, sampling_rate=24_000, return_tensors="pt")
    with torch.inference_mode():
        found = torch.stack(model(**batch, output_hidden_states=True).hidden_states, 1)
    encoder = load_encoder(str(folders / "model.pt"), "cpu")
    assert found.shape[1] == encoder.num_layers == model.config.num_hidden_layers + 1
    torch.testing.assert_close(found, encoder.layers(torch.from_numpy(wave)[None]), atol=1e-4, rtol=1e-3)


def test_an_encoder_that_trusts_remote_code_reads_it_as_well(folders):
    model = transformers.AutoModel.from_pretrained(str(folders / "export"), trust_remote_code=True)
    assert model.config.num_hidden_layers >= 1


def test_do_normalize_in_the_preprocessor_file_decides_what_the_processor_does(folders):
    path = folders / "export/preprocessor_config.json"
    settings = json.loads(path.read_text())
    wave = 3 + np.random.default_rng(1).standard_normal(24_000).astype(np.float32)
    means = {}
    for value in (True, False):
        path.write_text(json.dumps(settings | {"do_normalize": value}))
        processor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(str(folders / "export"))
        means[value] = float(np.mean(processor(wave, sampling_rate=24_000)["input_values"][0]))
    path.write_text(json.dumps(settings))
    assert means[True] == pytest.approx(0, abs=1e-4)
    assert means[False] == pytest.approx(3, abs=0.05)
