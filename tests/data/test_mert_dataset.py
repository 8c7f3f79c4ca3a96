"""Labels match their samples, and clips do not depend on workers, ranks or resumes."""

import logging
import traceback

import numpy as np
import pytest
import soundfile
import torch
from numbered_corpus import CODES, COLUMNS, HOP, LABEL_RATE_HZ, SAMPLE_RATE, codes_of, write_corpus

from mert_fairseq.data.clip_dataset import TooManyUnreadableError
from mert_fairseq.data.epoch_iterator import BatchLimits, ClipBatchIterator
from mert_fairseq.data.mert_dataset import ClassTable, MERTDataset
from mert_fairseq.labels import LabelDictionary, LabelError, open_labels
from mert_fairseq.manifest import Manifest

LENGTHS = [96_000, 64_000, 48_000, 48_100, 32_000, 70_000, 96_000, 50_000]
CROP = 48_000


def open_dataset(folder, tracks=None, **options) -> MERTDataset:
    manifest = Manifest.read(folder / "train.tsv")
    dictionaries = [LabelDictionary.read(folder / f"dict.{name}.txt") for name in COLUMNS]
    settings = {"crops": [(0, CROP)], "training": True, "seed": 7, **options}
    return MERTDataset(
        manifest,
        open_labels(folder, "train", COLUMNS),
        ClassTable(dictionaries),
        np.arange(len(manifest)) if tracks is None else np.array(tracks),
        sample_rate=SAMPLE_RATE,
        label_rate_hz=LABEL_RATE_HZ,
        **settings,
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), LENGTHS)


# fairseq pins memory and torch thinks 3 workers many for 2 cores
pytestmark = pytest.mark.filterwarnings("ignore:.*pin_memory", "ignore:This DataLoader will create")


def batches_of(dataset, epoch=1, workers=0, offset=0, rank=0, ranks=1, max_tokens=150_000):
    """The batches of an epoch as fairseq's trainer gets them, from ``offset`` on."""
    options = {"seed": 7, "num_workers": workers, "epoch": epoch, "num_shards": ranks, "shard_id": rank}
    iterator = ClipBatchIterator(dataset, BatchLimits(max_tokens, None), **options)
    iterator.load_state_dict({"epoch": epoch, "iterations_in_epoch": offset, "shuffle": True})
    try:
        return list(iterator.next_epoch_itr())
    finally:
        iterator.close()


def clips_of(batches):
    """{track: (wave, classes, clip seed)} of all batches."""
    return {
        int(track): (batch["net_input"]["source"][row].tolist(), batch["target_list"][:, row].tolist(), int(seed))
        for batch in batches
        for row, (track, seed) in enumerate(zip(batch["id"], batch["net_input"]["clip_seeds"], strict=True))
    }


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pad_audio", [False, True])
@pytest.mark.parametrize("crop", [CROP, 40_100, None])
def test_labels_match_their_samples(tmp_path, packed, pad_audio, crop):
    folder = write_corpus(tmp_path, LENGTHS, packed=packed)
    dataset = open_dataset(folder, crops=[(0, crop)], pad_audio=pad_audio)
    for batch in batches_of(dataset, max_tokens=200_000):
        source, mask = batch["net_input"]["source"], batch["net_input"]["padding_mask"]
        lengths = torch.full((len(source),), source.shape[1]) if mask is None else (~mask).sum(1)
        for row, track in enumerate(batch["id"].tolist()):
            labels = int(batch["target_lengths_list"][0][row])
            assert labels == -(-int(lengths[row]) // HOP)
            numbers = source[row, : lengths[row] : HOP].numpy()
            expected = codes_of(track, int(numbers[-1]) + 1)[numbers] + 4
            np.testing.assert_array_equal(batch["target_list"][:, row, :labels].T, expected)
            assert (batch["target_list"][:, row, labels:] == 1).all()
            assert (source[row, lengths[row] :] == 0).all()


def test_a_batch_has_the_fields_shapes_and_types_of_the_models_input(corpus):
    dataset = open_dataset(corpus)
    batch = dataset.collater([dataset[0], dataset[5]])
    assert batch["net_input"]["source"].shape == (2, CROP)
    assert batch["net_input"]["source"].dtype == torch.int16
    assert batch["net_input"]["padding_mask"] is None
    assert batch["net_input"]["clip_seeds"].dtype == np.int64
    assert batch["target_list"].shape == (3, 2, 150)
    assert [lengths.tolist() for lengths in batch["target_lengths_list"]] == [[150, 150]] * 3
    assert (batch["ntokens_list"], batch["ntokens"], batch["unreadable"]) == ([300, 300, 300], 300, 0)
    assert batch["id"].tolist() == [0, 5]
    assert dataset.collater([]) == {}


def test_the_padding_mask_marks_padding_and_is_absent_without(corpus):
    dataset = open_dataset(corpus, pad_audio=True)
    batch = dataset.collater([dataset[0], dataset[4]])
    assert batch["net_input"]["padding_mask"].sum(1).tolist() == [0, CROP - 32_000]
    assert dataset.collater([dataset[0], dataset[1]])["net_input"]["padding_mask"] is None


def test_without_padding_all_are_cut_to_the_shortest(corpus):
    dataset = open_dataset(corpus)
    batch = dataset.collater([dataset[0], dataset[4]])
    assert batch["net_input"]["source"].shape == (2, 32_000)
    assert batch["target_list"].shape == (3, 2, 100)


def test_normalised_clips_equal_layer_norm(corpus):
    dataset, raw = open_dataset(corpus, normalize=True), open_dataset(corpus)
    source = dataset.collater([dataset[0]])["net_input"]["source"]
    wave = raw.collater([raw[0]])["net_input"]["source"].float() / 32768
    assert source.dtype == torch.float32
    torch.testing.assert_close(source, torch.nn.functional.layer_norm(wave, wave.shape[1:]), atol=1e-4, rtol=1e-4)


def test_without_random_crops_tracks_are_read_from_their_beginning(corpus):
    dataset = open_dataset(corpus, random_crop=False)
    batch = dataset.collater([dataset[0], dataset[4]])
    assert batch["net_input"]["source"][:, 0].tolist() == [0, 0]


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(corpus, workers):
    alone, together = batches_of(open_dataset(corpus)), batches_of(open_dataset(corpus), workers=workers)
    assert [batch["id"].tolist() for batch in alone] == [batch["id"].tolist() for batch in together]
    assert clips_of(alone) == clips_of(together)


def test_a_resume_in_the_third_epoch_continues_with_its_batches(corpus):
    dataset = open_dataset(corpus)
    for epoch in (1, 2, 3):
        uninterrupted = batches_of(dataset, epoch)
    resumed = batches_of(open_dataset(corpus), epoch=3, offset=2)
    assert [batch["id"].tolist() for batch in resumed] == [batch["id"].tolist() for batch in uninterrupted[2:]]
    assert clips_of(resumed) == clips_of(uninterrupted[2:])


def test_two_ranks_see_the_clips_of_one(corpus):
    ranks = [batches_of(open_dataset(corpus, pad_audio=True), rank=rank, ranks=2) for rank in (0, 1)]
    assert clips_of([b for b in ranks[0] + ranks[1] if b]) == clips_of(batches_of(open_dataset(corpus, pad_audio=True)))


def test_the_global_generators_are_neither_used_nor_touched(corpus):
    np.random.seed(1)
    first = batches_of(open_dataset(corpus))
    np.random.seed(2)
    state = np.random.get_state()[1].tolist()
    assert clips_of(batches_of(open_dataset(corpus))) == clips_of(first)
    assert np.random.get_state()[1].tolist() == state


def test_clips_differ_by_epoch_and_seed(corpus):
    first, second = clips_of(batches_of(open_dataset(corpus), 1)), clips_of(batches_of(open_dataset(corpus), 2))
    other = clips_of(batches_of(open_dataset(corpus, seed=8), 1))
    assert first.keys() == second.keys() == other.keys()
    for clips in (second, other):
        assert [clips[track][2] for track in clips] != [first[track][2] for track in clips]
        assert clips[0][0] != first[0][0]


def test_a_track_keeps_its_clip_when_others_are_left_out(corpus):
    everything, few = open_dataset(corpus), open_dataset(corpus, tracks=[3, 6])
    np.testing.assert_array_equal(few[1].wave, everything[6].wave)
    assert few[1].clip_seed == everything[6].clip_seed


def test_validation_is_the_same_in_every_epoch(corpus):
    dataset = open_dataset(corpus, training=False)
    first, fifth = batches_of(dataset, 1), batches_of(dataset, 5)
    assert clips_of(first) == clips_of(fifth)
    assert dataset.can_reuse_epoch_itr_across_epochs
    assert not open_dataset(corpus).can_reuse_epoch_itr_across_epochs


def test_crops_grow_with_the_epoch(corpus):
    dataset = open_dataset(corpus, crops=[(0, None), (1, 16_000), (3, 32_000)])
    assert dataset.sizes.max() == 16_000
    dataset.set_epoch(4)
    assert dataset[0].wave.shape == (32_000,)


def test_labels_that_end_a_frame_early_end_the_track(tmp_path):
    folder = write_corpus(tmp_path, [48_000, 48_000], packed=False)
    for column in COLUMNS:
        path = folder / f"train.{column}"
        path.write_text("".join(line.rsplit(" ", 1)[0] + "\n" for line in path.read_text().splitlines()))
    dataset = open_dataset(folder)
    clip = dataset[0]
    assert (len(clip.wave), len(clip.classes)) == (48_000 - HOP, 149)


def test_codes_outside_the_dictionary_name_line_code_and_dictionary(tmp_path):
    folder = write_corpus(tmp_path, [48_000])
    (folder / "train.rvq_1").write_text(" ".join(["50"] * 150) + "\n")
    with pytest.raises(
        LabelError, match=rf"train\.rvq_1:1: found code 50 of rvq_1, expected one of the {CODES} in .*dict\.rvq_1"
    ):
        open_dataset(folder)[0]


def break_tracks(folder, *tracks):
    for track in tracks:
        (folder / "audio" / f"train{track:03d}.wav").write_bytes(b"broken")


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_tracks_are_replaced_counted_and_named(tmp_path, caplog, capfd, workers):
    folder = write_corpus(tmp_path, LENGTHS)
    break_tracks(folder, 2, 5)
    with caplog.at_level(logging.WARNING):
        batches = batches_of(open_dataset(folder, max_unreadable_share=0.25), workers=workers)
    clips = clips_of(batches)
    assert sorted(clips) == list(range(len(LENGTHS)))
    assert sum(batch["unreadable"] for batch in batches) == 2
    assert all(len(clips[track][0]) == CROP for track in (2, 5))
    if not workers:
        assert "train002.wav: cannot be decoded" in caplog.text
        assert "train005.wav" in caplog.text
    again = clips_of(batches_of(open_dataset(folder, max_unreadable_share=0.25)))
    assert again == clips


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_unreadable_tracks_stop_the_epoch(tmp_path, workers):
    folder = write_corpus(tmp_path, LENGTHS)
    break_tracks(folder, 2, 5, 6)
    with pytest.raises(
        TooManyUnreadableError,
        match=r"found 3 of 8 tracks unreadable in this epoch, expected at most 25\.00% "
        r"\(task\.max_unreadable_share\).*mert-check-data",
    ) as caught:
        batches_of(open_dataset(folder, max_unreadable_share=0.25), workers=workers)
    traceback.clear_frames(caught.tb)  # which hold the workers


def test_each_epoch_counts_unreadable_tracks_anew(tmp_path):
    folder = write_corpus(tmp_path, LENGTHS)
    break_tracks(folder, 2, 5)
    dataset = open_dataset(folder, max_unreadable_share=0.25)
    for epoch in (1, 2, 3):
        assert sum(batch["unreadable"] for batch in batches_of(dataset, epoch)) == 2


@pytest.mark.parametrize(("rate", "samples"), [(16_000, 48_000), (24_000, 1000)])
def test_files_of_another_rate_or_truncated_count_as_unreadable(tmp_path, rate, samples):
    folder = write_corpus(tmp_path, LENGTHS)
    soundfile.write(folder / "audio/train002.wav", np.zeros(samples, dtype=np.int16), rate)
    clip = open_dataset(folder, max_unreadable_share=0.2)[2]
    assert clip.replaced
    with pytest.raises(TooManyUnreadableError, match=r"train002\.wav: found (16000 Hz, expected 24000|1000 samples)"):
        open_dataset(folder, max_unreadable_share=0.0)[2]


def test_a_clip_longer_than_a_batch_may_be_is_refused(corpus):
    dataset = open_dataset(corpus)
    with pytest.raises(ValueError, match=r"max_tokens: found 40000 samples per batch, expected at least 48000"):
        dataset.batch_by_size(dataset.ordered_indices(), max_tokens=40_000)


@pytest.mark.parametrize("pad_audio", [False, True])
def test_batches_hold_each_clip_once(corpus, pad_audio):
    dataset = open_dataset(corpus, pad_audio=pad_audio)
    batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=100_000)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
    assert max(dataset.sizes[batch].max() * len(batch) for batch in batches) <= 100_000
