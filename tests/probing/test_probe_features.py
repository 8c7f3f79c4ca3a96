"""Features: windows, standardisation, the cache, baselines, and models of another rate."""

import numpy as np
import pytest
import soundfile
import torch
from probe_doubles import BandSource
from probe_trees import tone
from tiny_mert import save_tiny_mert

from mert_fairseq.probing.features.extract import extract
from mert_fairseq.probing.features.source import load_source
from mert_fairseq.probing.features.waves import Windows, cut_windows, load_wave
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.teachers.features import FrameFeatures


@pytest.fixture
def data(tmp_path):
    clips = {}
    for place, split in enumerate(("train", "valid", "test")):
        clips[split] = [Clip(f"{split}{n}", f"{split}{n}.wav", "a") for n in range(3)]
        for number, clip in enumerate(clips[split]):
            tone(tmp_path / clip.path, number, 22_050, seconds=1.5 + number, seed=place)
    return ProbeData(tmp_path, ("a",), clips)


@pytest.fixture
def checkpoint(tmp_path):
    save_tiny_mert(tmp_path / "tiny.pt", normalize=True, encoder_layerdrop=0.0)
    return tmp_path / "tiny.pt"


def test_a_last_window_below_a_second_is_dropped_and_one_above_is_kept():
    windows = Windows(seconds=2.0)
    lengths = [len(cut) / 100 for cut in cut_windows(np.zeros(590), 100, windows, 10)]
    assert lengths == [2.0, 2.0, 1.9]
    assert [len(cut) / 100 for cut in cut_windows(np.zeros(490), 100, windows, 10)] == [2.0, 2.0]
    assert [len(cut) for cut in cut_windows(np.zeros(5), 100, windows, 10)] == [10]


def test_the_whole_clip_is_standardised_not_each_window(tmp_path):
    wave = np.concatenate([0.5 * np.ones(8000), np.zeros(8000)]).astype(np.float32)
    soundfile.write(tmp_path / "step.wav", wave, 8000)
    loaded = load_wave(tmp_path, Clip("1", "step.wav", "a"), 8000, Windows(seconds=1.0), normalize=True)
    assert loaded.mean() == pytest.approx(0, abs=1e-5)
    assert loaded.std() == pytest.approx(1, abs=1e-3)
    assert abs(loaded[:8000].mean()) > 0.9


def test_excerpts_first_seconds_peak_and_padding(tmp_path):
    wave = np.linspace(0, 0.5, 16000).astype(np.float32)
    soundfile.write(tmp_path / "ramp.wav", wave, 8000, subtype="FLOAT")
    excerpt = load_wave(tmp_path, Clip("1", "ramp.wav", "a", "", 0.5, 0.25), 8000, Windows(), normalize=False)
    np.testing.assert_allclose(excerpt, wave[4000:6000])
    first = load_wave(tmp_path, Clip("1", "ramp.wav", "a"), 8000, Windows(first_seconds=1.0), normalize=False)
    assert len(first) == 8000
    padded = Windows(pad_seconds=3.0, peak=True)
    loaded = load_wave(tmp_path, Clip("1", "ramp.wav", "a"), 8000, padded, normalize=False)
    assert len(loaded) == 24000
    assert loaded.max() == pytest.approx(1)
    assert not loaded[16000:].any()


def test_features_are_cached_and_a_stopped_extraction_continues(data, tmp_path, monkeypatch):
    monkeypatch.setattr("mert_fairseq.probing.features.extract.PART_CLIPS", 2)
    whole, _ = extract(BandSource(), data, Windows(), False, tmp_path / "whole", quiet=True).read()
    source = BandSource()
    monkeypatch.setattr(source, "frames", _failing_after(source.frames, 5))
    with pytest.raises(KeyboardInterrupt):
        extract(source, data, Windows(), False, tmp_path / "cache", quiet=True)
    again = BandSource()
    states, counts = extract(again, data, Windows(), False, tmp_path / "cache", quiet=True).read()
    assert again.clips == 9 - 4  # two parts of two clips were there
    assert counts.tolist() == [1] * 9
    for state, expected in zip(states[1:], whole[1:], strict=True):
        torch.testing.assert_close(state, expected)
    third = BandSource()
    extract(third, data, Windows(), False, tmp_path / "cache", quiet=True)
    assert third.clips == 0


def test_changed_audio_and_changed_settings_are_extracted_again(data, tmp_path):
    first = extract(BandSource(), data, Windows(), False, tmp_path, quiet=True)
    assert extract(BandSource(), data, Windows(), True, tmp_path, quiet=True).key != first.key
    tone(data.folder / data.clips["train"][0].path, 9, 22_050, seconds=1.0)
    assert extract(BandSource(), data, Windows(), False, tmp_path, quiet=True).key != first.key


def test_a_damaged_cache_is_an_error_with_a_remedy(data, tmp_path):
    store = extract(BandSource(), data, Windows(), False, tmp_path, quiet=True)
    (store.folder / "state_01.npy").write_bytes(b"")
    with pytest.raises(ValueError, match="Remove this folder; the features are extracted again"):
        store.read()


def test_features_that_are_not_finite_are_an_error_that_names_the_clip(data, tmp_path, monkeypatch):
    source = BandSource()
    monkeypatch.setattr(source, "frames", lambda waves: torch.full((len(waves), 3, 4, 2), torch.nan))
    with pytest.raises(ValueError, match="train0: bands returned NaN or infinite features"):
        extract(source, data, Windows(), False, tmp_path, quiet=True)


def test_a_checkpoint_gives_all_states_and_its_own_normalisation(data, checkpoint, tmp_path):
    source = load_source(str(checkpoint), "cpu")
    assert (source.num_states, source.rate_hz, source.normalized) == (4, 75.0, True)
    wave = torch.from_numpy(load_wave(data.folder, data.clips["train"][0], 24_000, Windows(), True))
    states, _ = extract(source, data, Windows(), True, tmp_path / "cache", quiet=True).read()
    expected = source.encoder.layers(wave[None])[0].mean(1)
    torch.testing.assert_close(torch.stack([state[0] for state in states]), expected, atol=1e-5, rtol=1e-4)


def test_random_weights_are_those_of_a_seed_and_not_the_checkpoints(checkpoint):
    trained, random = load_source(str(checkpoint), "cpu"), load_source(f"random:{checkpoint}", "cpu")
    wave = torch.randn(1, 24_000)
    assert not torch.allclose(trained.pooled(wave), random.pooled(wave))
    torch.testing.assert_close(random.pooled(wave), load_source(f"random:{checkpoint}", "cpu").pooled(wave))
    assert random.digest == load_source(f"random:{checkpoint}", "cpu").digest != trained.digest
    third = load_source(f"random3:{checkpoint}", "cpu")
    assert third.name == random.name.replace("random", "random3", 1)
    assert third.digest not in (random.digest, load_source(f"random2:{checkpoint}", "cpu").digest)


def test_the_conv_stack_alone_is_one_state(checkpoint):
    source = load_source(f"raw-conv:{checkpoint}", "cpu")
    assert source.frames(torch.randn(2, 24_000)).shape == (2, 1, 74, 8)


@pytest.mark.parametrize(("kind", "width"), [("mfcc", 39), ("logmel", 128), ("chroma", 12), ("cqt", 84)])
def test_a_baseline_describes_a_window_by_mean_and_deviation(kind, width):
    source = load_source(kind)
    wave = torch.randn(2, 24_000)
    assert source.frames(wave).shape == (2, 1, 75, width)
    assert source.pooled(wave).shape == (2, 1, 2 * width)
    if kind != "cqt":
        rows = FrameFeatures(kind)(wave[1])
        torch.testing.assert_close(source.pooled(wave)[1, 0, :width], rows.mean(0))


@pytest.mark.parametrize("kind", ["random", "raw-conv"])
def test_a_baseline_of_a_model_needs_the_model(kind):
    with pytest.raises(ValueError, match=f"give {kind}:PATH"):
        load_source(kind)


def _failing_after(frames, clips: int):
    seen = []

    def counted(waves):
        seen.extend(waves)
        if len(seen) > clips:
            raise KeyboardInterrupt
        return frames(waves)

    return counted


def test_a_hugging_face_folder_is_probed_as_a_checkpoint_is(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.HubertModel(config).save_pretrained(tmp_path)
    extractor = transformers.Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True)
    extractor.save_pretrained(tmp_path)
    source, wave = load_source(str(tmp_path), "cpu"), torch.randn(1, 24_000)
    assert (source.num_states, source.normalized, source.rate_hz) == (3, True, 75.0)
    assert source.pooled(wave).shape == (1, 3, 16)
    random = load_source(f"random:{tmp_path}", "cpu")
    assert not torch.allclose(random.pooled(wave), source.pooled(wave))
    assert load_source(f"raw-conv:{tmp_path}", "cpu").pooled(wave).shape == (1, 1, 8)
