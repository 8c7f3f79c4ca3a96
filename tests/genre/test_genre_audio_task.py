"""The task on audio: vocabulary, targets and errors."""

import pytest
import torch
from genre_music import GENRES, make_genre_music
from omegaconf import OmegaConf
from torch import nn

from mert_fairseq.genre.audio.task import GenreAudioConfig, GenreAudioTask
from mert_fairseq.optimizers import LayerwiseAdam, check_lr_scales, set_lr_scale

SORTED = ["Electronic", "Folk", "Hip-Hop", "Rock"]


def task_on(folder, **options):
    cfg = {"data": str(folder), "max_sample_size": 1_200, "test_clips": 2, "history_dir": str(folder / "exp")}
    plain = {"seed": 1, "train_subset": "train", **cfg, **options}
    return GenreAudioTask.setup_task(OmegaConf.merge(OmegaConf.structured(GenreAudioConfig), plain))


@pytest.fixture
def folder(tmp_path):
    return make_genre_music(tmp_path / "music", {"train": 3, "valid": 1}, seconds=0.1)


def add_labels(folder, name, train, valid, ids=(12, 15, 17, 21)):
    genres = folder / "genres"
    for split, lines in (("train", train), ("valid", valid)):
        (genres / f"{split}.{name}").write_text("".join(f"{line}\n" for line in lines))
    (genres / f"dict.{name}.txt").write_text("".join(f"{genre} 1\n" for genre in ids))


def test_genres_are_sorted_by_title_and_counted_over_the_training_tracks(folder):
    task = task_on(folder)
    assert list(task.vocabulary.titles) == SORTED
    assert task.genre_counts == [3, 3, 3, 3]
    task.load_dataset("valid")
    batch = task.dataset("valid").collater([task.dataset("valid")[place] for place in range(4)])
    assert batch["target"].tolist() == [0, 1, 2, 3]  # the order in which the corpus is made
    assert batch["net_input"]["source"].shape == (8, 1_200)


def test_multi_label_tracks_are_multi_hot_and_tracks_without_a_genre_are_left_out(folder):
    add_labels(folder, "genres", ["12 15", "17", "", *["21"] * 9], ["21 12", "", "17", "15"])
    task = task_on(folder, label="genres", multi_label=True)
    task.load_dataset("valid")
    dataset = task.dataset("valid")
    assert len(dataset) == 3
    batch = dataset.collater([dataset[place] for place in range(3)])
    assert batch["id"].tolist() == [0, 2, 3]
    assert batch["target"].tolist() == [[0, 0, 1, 1], [0, 1, 0, 0], [1, 0, 0, 0]]
    with pytest.raises(ValueError, match=r"valid.genres:1: found the genres \['Hip-Hop', 'Rock'\], expected one"):
        task_on(folder, label="genres").load_dataset("valid")


def test_rare_genres_can_be_left_out(folder):
    add_labels(folder, "rare", ["12"] * 6 + ["17"] * 5 + ["15"], ["12", "17", "15", "12"], ids=(12, 15, 17))
    task = task_on(folder, label="rare", min_genre_tracks=2)
    assert list(task.vocabulary.titles) == ["Folk", "Rock"]
    assert task.genre_counts == [5, 6]
    task.load_dataset("valid")
    assert len(task.dataset("valid")) == 3


def test_a_genre_without_training_track_is_an_error(folder):
    add_labels(folder, "empty", ["12"] * 6 + ["17"] * 6, ["12"] * 4)
    with pytest.raises(ValueError, match="2 of 4 genres have no training track: Electronic, Hip-Hop"):
        _ = task_on(folder, label="empty").vocabulary


class AlwaysTheFirst(nn.Module):
    """Says the first genre of every track."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, source, padding_mask, clips_per_track):
        return self.bias.expand(len(clips_per_track), -1)


def test_predictions_name_the_tracks_as_the_manifest_does(folder):
    found = task_on(folder).predict(AlwaysTheFirst(), "valid", max_sentences=3)
    names = [f"valid_{genre}_000.wav" for genre in GENRES]
    assert dict(zip(found.ids, found.targets.tolist(), strict=True)) == dict(zip(names, range(4), strict=True))


def test_a_missing_split_is_an_error_that_names_the_command(folder):
    with pytest.raises(
        FileNotFoundError, match=r"test.tsv: no such manifest.* a table with the column split.*--split valid"
    ):
        task_on(folder).predict(AlwaysTheFirst(), "test")


def test_a_track_in_two_splits_is_an_error(folder):
    root, *train = (folder / "train.tsv").read_text().splitlines()
    (folder / "valid.tsv").write_text("\n".join([root, *train[:1], *train[1:4]]) + "\n")
    with pytest.raises(ValueError, match="4 tracks are in train and in valid"):
        task_on(folder).load_dataset("valid")


def test_without_the_training_manifest_a_split_is_opened_and_the_missing_check_logged(folder, caplog):
    counts = {"genres": SORTED, "genre_counts": [3] * 4}  # as a checkpoint brings them
    (folder / "train.tsv").unlink()
    task = task_on(folder)
    task.load_state_dict(counts)
    task.load_dataset("valid")
    assert len(task.dataset("valid")) == 4
    assert "train.tsv: no such manifest, so the check that valid and training share no track is skipped" in caplog.text


def test_audio_of_another_rate_is_an_error(folder):
    with pytest.raises(ValueError, match="found 24000 Hz, expected 16000 Hz"):
        task_on(folder, sample_rate=16_000).load_dataset("valid")


def test_a_checkpoint_s_genres_must_be_among_the_labels(folder):
    task = task_on(folder)
    task.load_state_dict({"genres": [*SORTED, "Blues"], "genre_counts": [1] * 5})
    with pytest.raises(ValueError, match=r"lacks the genres \['Blues'\], which the model was trained on"):
        task.load_dataset("valid")


def test_clips_and_crops_must_be_positive(folder):
    with pytest.raises(ValueError, match="task.test_clips is 0"):
        task_on(folder, test_clips=0)


def test_rates_by_layer_need_an_optimizer_that_obeys_them():
    parameter = torch.nn.Parameter(torch.ones(1))
    set_lr_scale([parameter], 0.1)
    adam = torch.optim.Adam([parameter])
    with pytest.raises(ValueError, match="Set optimizer._name: layerwise_adam"):
        check_lr_scales([parameter], adam)
    parameter.requires_grad_(False)
    check_lr_scales([parameter], adam)  # frozen: its rate does not matter
    assert not LayerwiseAdam.supports_flat_params.fget(None)
