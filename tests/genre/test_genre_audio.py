"""Clips of tracks with genres: where they lie, and that seeds give them again."""

import numpy as np
import pytest
import soundfile
import torch
from genre_music import GENRES, make_genre_music

from mert_fairseq.audio import AudioError
from mert_fairseq.genre.audio.dataset import GenreAudioDataset, clip_starts, stack_clips
from mert_fairseq.labels.genre_labels import GenreLabelError, GenreLabels
from mert_fairseq.manifest import Manifest

RATE = 24_000


@pytest.mark.parametrize(
    ("samples", "clip", "most", "starts"),
    [
        (30, 5, 6, [0, 5, 10, 15, 20, 25]),  # as many as cover the track
        (30, 5, 3, [0, 12, 25]),  # round(12.5) is even
        (30, 5, 100, [0, 5, 10, 15, 20, 25]),
        (11, 5, 6, [0, 3, 6]),  # they overlap rather than pad
        (30, 5, 1, [12]),  # the middle
        (5, 5, 6, [0]),
        (3, 5, 6, [0]),
    ],
)
def test_clips_cover_a_track_evenly(samples, clip, most, starts):
    assert clip_starts(samples, clip, most) == starts


def ramp_track(folder, name, samples):
    """A file whose sample i is i, so that a clip says where it was cut."""
    soundfile.write(folder / name, np.arange(samples, dtype=np.int16), RATE, subtype="PCM_16")
    return name, samples


def dataset_of(folder, lengths, training, seed=1, **options):
    named = [ramp_track(folder, f"{place}.wav", samples) for place, samples in enumerate(lengths)]
    manifest = Manifest(folder, [name for name, _ in named], np.array(lengths), RATE)
    settings = {"clip_samples": 1_000, "test_clips": 3, **options}
    return GenreAudioDataset(
        manifest,
        np.arange(len(lengths)),
        np.arange(len(lengths)) % 2,
        sample_rate=RATE,
        training=training,
        seed=seed,
        **settings,
    )


def test_a_test_track_is_evenly_spaced_clips_and_a_short_one_is_padded(tmp_path):
    dataset = dataset_of(tmp_path, [2_500, 900], training=False)
    batch = dataset.collater([dataset[0], dataset[1]])
    source, mask = batch["net_input"]["source"], batch["net_input"]["padding_mask"]
    assert source.dtype == torch.int16
    assert source[:, 0].tolist() == [0, 750, 1_500, 0]
    assert source[:, 899].tolist() == [899, 1_649, 2_399, 899]
    assert mask.sum(1).tolist() == [0, 0, 0, 100]
    assert batch["net_input"]["clips_per_track"].tolist() == [3, 1]
    assert batch["target"].tolist() == [0, 1]
    assert dataset.sizes.tolist() == [3_000, 900]


def test_training_crops_follow_from_seed_epoch_and_track_only(tmp_path):
    lengths = [9_000, 5_000, 7_000]

    def starts(seed, epoch, order):
        dataset = dataset_of(tmp_path, lengths, training=True, seed=seed)
        dataset.set_epoch(epoch)
        return {index: int(dataset[index].clips[0][0]) for index in order}

    first = starts(1, 1, [0, 1, 2])
    assert first == starts(1, 1, [2, 1, 0])
    assert first != starts(1, 2, [0, 1, 2])
    assert first != starts(2, 1, [0, 1, 2])
    assert all(start <= lengths[index] - 1_000 for index, start in first.items())


def test_a_training_clip_is_one_a_track(tmp_path):
    dataset = dataset_of(tmp_path, [9_000, 5_000], training=True)
    batch = dataset.collater([dataset[0], dataset[1]])
    assert batch["net_input"]["clips_per_track"] is None
    assert batch["net_input"]["padding_mask"] is None
    assert batch["net_input"]["source"].shape == (2, 1_000)


def test_an_unreadable_training_track_is_replaced_with_its_genre_and_a_test_track_is_an_error(tmp_path):
    options = {"max_unreadable_share": 0.5}
    training = dataset_of(tmp_path, [2_000, 3_000], training=True, **options)
    testing = dataset_of(tmp_path, [2_000, 3_000], training=False)
    (tmp_path / "0.wav").write_bytes(b"")
    clip = training[0]
    assert (clip.track, int(clip.target), clip.replaced) == (1, 1, True)
    assert training.collater([clip])["unreadable"] == 1
    with pytest.raises(AudioError, match="0.wav: the file is empty"):
        testing[0]


def test_clips_of_unequal_length_are_padded_and_marked():
    stacked = stack_clips([[np.ones(2, np.int16)], [np.ones(3, np.int16)]])
    assert stacked["source"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert stacked["padding_mask"].tolist() == [[False, False, True], [False, False, False]]
    assert stacked["clips_per_track"] is None


@pytest.fixture
def folder(tmp_path):
    return make_genre_music(tmp_path / "music", {"train": 2, "valid": 1}, seconds=0.1)


def test_label_files_are_read_by_title(folder):
    labels = GenreLabels(folder / "genres", "genre_top")
    assert sorted(labels.titles) == sorted(GENRES.values())
    assert labels.read("valid", 4) == [[title] for title in GENRES.values()]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("valid.genre_top", "15\n17\n21\n", "found 3 lines, expected 4, one for each track of valid.tsv"),
        ("valid.genre_top", "15\n17\n21\n99\n", "valid.genre_top:4: found the genre '99', expected one of the 4"),
        ("genres.tsv", "genre_id\ttitle\n15\tElectronic\n", "lacks 3 genres of dict.genre_top.txt, the first is 12"),
        ("genres.tsv", "genre_id\ttitle\n15\n", "genres.tsv:2: found '15', expected a genre id, a tab and a title"),
    ],
)
def test_label_files_that_do_not_match_are_errors(folder, file, text, message):
    (folder / "genres" / file).write_text(text)
    with pytest.raises(GenreLabelError, match=message):
        GenreLabels(folder / "genres", "genre_top").read("valid", 4)


@pytest.mark.parametrize("file", ["valid.genre_top", "genres.tsv"])
def test_missing_label_files_name_the_commands_that_make_them(folder, file):
    (folder / "genres" / file).unlink()
    with pytest.raises(GenreLabelError, match=r"prepare_fma.py \(the FMA\) or preprocess/label_genres.py"):
        GenreLabels(folder / "genres", "genre_top").read("valid", 4)
