"""The task fma_genre: state, tokens, predictions and errors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.logging import metrics
from fma_tree import build_fma_tree
from omegaconf import OmegaConf

from mert_fairseq.genre.epoch_history import EpochHistory
from mert_fairseq.genre.features.model import FMAFeatureTransformer, FMATransformerConfig
from mert_fairseq.genre.features.task import FMAGenreConfig, FMAGenreTask
from mert_fairseq.genre.features.tokens import FeatureTokens
from mert_fairseq.genre.vocabulary import GenreVocabulary


@pytest.fixture(scope="module")
def metadata_dir(tmp_path_factory):
    return build_fma_tree(tmp_path_factory.mktemp("fma"), audio_subset=None, bad=False).metadata_dir


def make_task(metadata_dir: Path, history_dir: Path = Path("nowhere"), **options) -> FMAGenreTask:
    chosen = {"subset": "small", "seed": 1, "train_subset": "train", **options}
    schema = OmegaConf.structured(FMAGenreConfig)
    return FMAGenreTask(OmegaConf.merge(schema, {"data": str(metadata_dir), "history_dir": str(history_dir), **chosen}))


def make_model(task: FMAGenreTask, **options) -> FMAFeatureTransformer:
    sizes = {"encoder_layers": 1, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2}
    torch.manual_seed(0)
    return FMAFeatureTransformer.build_model(FMATransformerConfig(**sizes, **options), task)


def test_each_token_has_a_projection_and_an_embedding_of_its_own():
    module = FeatureTokens([2, 1, 3], width=4, max_size=3)
    tokens = torch.randn(5, 3, 3)
    found = module(tokens)
    for token in range(3):
        expected = tokens[:, token] @ module.projection[token] + module.embedding[token]
        torch.testing.assert_close(found[:, token], expected)
    torch.testing.assert_close(module(tokens[:, :2]), found[:, :2])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_tokens_change_no_logit(metadata_dir, pooling):
    task = make_task(metadata_dir, echonest=["audio_features"])
    model = make_model(task, pooling=pooling).eval()
    tokens = torch.randn(3, 78, 20)
    mask = torch.zeros(3, 78, dtype=torch.bool)
    mask[:, 77] = True
    short = model(tokens[:, :77])
    assert short.shape == (3, 8)
    torch.testing.assert_close(model(tokens, mask), short, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(model(tokens), short)


def test_tokens_follow_the_preprocessor(metadata_dir):
    assert len(make_task(metadata_dir).token_sizes) == 77
    echonest = make_task(metadata_dir, echonest=["audio_features", "temporal_features"])
    assert echonest.token_sizes[77:] == [8, *[20] * 11, 4]
    assert make_task(metadata_dir, pca=30.0).token_sizes == [20, 10]


def test_a_checkpoints_state_brings_genres_counts_and_preprocessor(metadata_dir):
    trained = make_task(metadata_dir)
    trained.load_dataset("train")
    assert trained.genre_counts == [8] * 8
    other = make_task(metadata_dir)
    state = dict(trained.state_dict())
    state["genres"] = state["genres"][::-1]
    other.load_state_dict(state)
    assert other.vocabulary.titles == trained.vocabulary.titles[::-1]
    other.load_dataset("test")
    reference = trained.preprocessor.transform(trained.fma.features.loc[other.dataset("test").ids])
    np.testing.assert_array_equal(other.dataset("test").arrays()[0], reference)


def test_predictions_are_of_each_track_once_with_its_genre(metadata_dir):
    task = make_task(metadata_dir)
    model = make_model(task)
    found = task.predict(model, "test", max_sentences=3)
    assert sorted(found.ids) == sorted(task.tracks_of("test").ids)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)
    genres = dict(zip(*task.tracks_of("test"), strict=True))
    assert [[task.vocabulary.title(target)] for target in found.targets] == [genres[track] for track in found.ids]
    batch = task.dataset("test").collater([task.dataset("test")[0]])
    alone = model.eval()(**batch["net_input"]).softmax(-1)
    np.testing.assert_allclose(found.probabilities[0], alone.detach().numpy()[0], rtol=1e-4)


def test_multi_label_probabilities_are_independent(metadata_dir):
    task = make_task(metadata_dir, subset="large", labels="roots")
    found = task.predict(make_model(task), "valid", max_sentences=64)
    assert found.targets.shape == found.probabilities.shape == (len(task.tracks_of("valid").ids), 16)
    assert not np.allclose(found.probabilities.sum(1), 1)


def validate(task, epoch, accuracy, updates):
    metrics.reset()
    with metrics.aggregate("train"):
        metrics.log_scalar("loss", 1.5)
        metrics.log_scalar("accuracy", 0.25)
    task.begin_valid_epoch(epoch, None)
    task.post_validate(None, {"loss": 2.0, "accuracy": accuracy, "num_updates": updates}, None)
    task.post_validate(None, {"loss": 9.0, "accuracy": 0.0, "num_updates": updates}, None)  # a second validation set
    metrics.reset()


def test_epochs_are_recorded_once_also_after_a_resume(metadata_dir, tmp_path):
    task = make_task(metadata_dir, tmp_path)
    for epoch, accuracy in ((1, 0.5), (2, 0.6), (3, 0.7)):
        validate(task, epoch, accuracy, 10 * epoch)
    resumed = make_task(metadata_dir, tmp_path)  # from the checkpoint of epoch 2; epoch 3 is run again
    validate(resumed, 3, 0.8, 30)
    arrays = EpochHistory.read(tmp_path / "history.json").arrays()
    assert arrays["epoch"] == [1, 2, 3]
    assert arrays["valid_accuracy"] == [0.5, 0.6, 0.8]
    assert arrays["valid_loss"] == [2.0] * 3
    assert arrays["train_accuracy"] == [0.25] * 3
    assert GenreVocabulary.read(tmp_path / "genres.json") == task.vocabulary
    again = make_task(metadata_dir, tmp_path)  # from the beginning
    validate(again, 1, 0.1, 10)
    assert EpochHistory.read(tmp_path / "history.json").arrays()["valid_accuracy"] == [0.1]


def test_a_damaged_history_is_an_error_before_the_epoch(metadata_dir, tmp_path):
    (tmp_path / "history.json").write_text("[]")
    with pytest.raises(ValueError, match="not a training history"):
        make_task(metadata_dir, tmp_path).begin_epoch(2, None)


def test_rare_genres_are_an_error_or_left_out(metadata_dir):
    strict = make_task(metadata_dir, subset="large", labels="genres_all")
    strict.fma.tracks.at[strict.fma.select("large", "test").index[0], ("track", "genres_all")] = [178, 4]
    with pytest.raises(
        ValueError, match=r"tracks.csv, subset large: \d+ of \d+ genres have no training track: .*Be-Bop"
    ):
        strict.genre_counts  # noqa: B018
    lenient = make_task(metadata_dir, subset="large", labels="genres_all", min_genre_tracks=3)
    assert min(lenient.genre_counts) >= 3
    assert "Jazz > Be-Bop" not in lenient.vocabulary
    lenient.load_dataset("test")


def test_wrong_options_are_errors(metadata_dir):
    with pytest.raises(ValueError, match="Echonest group 'metadata' is unknown, expected some of audio_features"):
        make_task(metadata_dir, echonest=["metadata"]).load_dataset("train")
    with pytest.raises(ValueError, match="split 'dev' is unknown, expected one of train, valid, test"):
        make_task(metadata_dir).load_dataset("dev")
    with pytest.raises(FileNotFoundError, match="no such file. It is part of"):
        make_task(metadata_dir / "other").load_dataset("train")
    with pytest.raises(ValueError, match="model.pooling is 'max'"):
        make_model(make_task(metadata_dir), pooling="max")


def test_a_track_in_two_splits_is_an_error(metadata_dir):
    task = make_task(metadata_dir)
    task.load_dataset("train")
    task.datasets["valid"] = task.datasets["train"]
    with pytest.raises(ValueError, match="64 tracks are in train and in valid"):
        task.load_dataset("test")
