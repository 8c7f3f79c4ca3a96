"""The task: checks of a data folder, shards, and the content of a checkpoint."""

import json
import logging

import numpy as np
import pytest
import soundfile
import torch
from fairseq.data import Dictionary
from fairseq.logging import metrics
from hydra.core.hydra_config import HydraConfig
from numbered_corpus import CODES, COLUMNS, write_corpus
from omegaconf import OmegaConf
from pretraining_task import load, make_task

from mert_fairseq.data.clip_dataset import TooManyUnreadableError
from mert_fairseq.labels import LabelError, write_dictionary, write_padded
from mert_fairseq.labels.convert import convert_labels
from mert_fairseq.manifest import Manifest

LENGTHS = [96_000, 64_000, 48_000, 70_000]


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path, [48_000, 60_000], "valid")
    return write_corpus(tmp_path, LENGTHS)


@pytest.mark.parametrize("option", ["pad_audio", "enable_padding"])
def test_both_options_for_padding_pad(folder, option):
    dataset = load(folder, max_sample_size=70_000, **{option: True})
    assert dataset.collater([dataset[0], dataset[2]])["net_input"]["padding_mask"].sum() == 70_000 - 48_000


def test_tracks_outside_the_limits_are_left_out_and_counted(folder, caplog):
    with caplog.at_level(logging.INFO):
        dataset = load(folder, min_sample_size=50_000, max_keep_size=80_000)
    assert [dataset[index].track for index in range(len(dataset))] == [1, 3]
    assert "2 tracks; left out 1 below 50000 samples and 1 above 80000" in caplog.text


@pytest.mark.parametrize("options", [{"store_labels": True}, {"numpy_memmap_label": True}, {}])
def test_labels_are_the_same_from_every_source(folder, options):
    for place, column in enumerate(COLUMNS):
        rows = [[*map(int, line.split())] for line in (folder / f"train.{column}").read_text().splitlines()]
        write_padded(folder / f"train.{column}.npy", [np.array(row) for row in rows])
        assert len(rows) == len(LENGTHS), place
    clip = load(folder, **options)[0]
    np.testing.assert_array_equal(clip.classes[:, 1], (clip.wave[::320] + 1) % CODES + 4)


def test_labels_may_be_in_another_folder(folder, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in [*folder.glob("train.rvq_*"), *folder.glob("dict.*")]:
        path.rename(labels / path.name)
    assert len(load(folder, label_dir=str(labels))) == len(LENGTHS)


# Bad input


def test_a_label_file_of_another_manifest_is_refused(folder):
    lines = (folder / "train.rvq_1").read_text().splitlines()
    (folder / "train.rvq_1").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(LabelError, match=r"train\.rvq_0 and .*train\.rvq_1: found 4 and 3 tracks"):
        load(folder)
    with pytest.raises(
        LabelError, match=r"train\.rvq_1: found labels of 3 tracks, expected 4, one for each in .*train\.tsv"
    ):
        load(folder, labels=["rvq_1"])


@pytest.mark.parametrize("rate", [50.0, 150.0])
def test_a_wrong_label_rate_names_line_found_and_expected(folder, rate):
    needed = round(96_000 * rate / 24_000)
    with pytest.raises(
        LabelError,
        match=rf"train\.rvq_0:1: train000\.wav has 300 codes, but its 96000 samples at {rate:g} labels per second "
        rf"need {needed}; 4 of 4 tracks disagree.*task\.label_rate \(these labels have 75 per second\)",
    ):
        load(folder, label_rate=rate)


def test_a_packed_file_of_another_rate_is_refused(tmp_path):
    write_corpus(tmp_path, LENGTHS, packed=True)
    with pytest.raises(LabelError, match="was made at 75 labels per second, expected 150"):
        load(tmp_path, label_rate=150.0)


@pytest.mark.parametrize("missing_frames", [1, 7])
def test_teachers_may_differ_by_a_tenth_of_a_second(folder, missing_frames):
    lines = (folder / "train.rvq_0").read_text().splitlines()
    (folder / "train.rvq_0").write_text("\n".join(line.rsplit(" ", missing_frames)[0] for line in lines))
    assert len(load(folder)) == 4


@pytest.mark.parametrize("packed", [False, True])
def test_codes_outside_the_dictionary_are_found_at_the_start(tmp_path, packed):
    write_corpus(tmp_path, LENGTHS, packed=packed)
    write_dictionary(tmp_path / "dict.rvq_2.txt", [1] * (CODES - 1))
    with pytest.raises(LabelError, match=r"found code 49 of rvq_2, expected one of the 49 in .*dict\.rvq_2\.txt"):
        load(tmp_path)


def test_a_missing_dictionary_is_named(folder):
    (folder / "dict.rvq_1.txt").unlink()
    with pytest.raises(LabelError, match=r"dict\.rvq_1\.txt: no such dictionary"):
        load(folder)


def test_an_empty_manifest_is_refused(folder):
    (folder / "train.json").unlink()
    (folder / "train.tsv").write_text("/music\n")
    with pytest.raises(ValueError, match=r"train\.tsv: found no track"):
        load(folder)


def test_a_corpus_of_clips_that_are_all_too_short_is_refused(folder):
    with pytest.raises(
        ValueError, match=r"found 4 tracks of 48000 to 96000 samples, .*task\.min_sample_size \(100000\)"
    ):
        load(folder, min_sample_size=100_000)


def test_a_sidecar_of_another_rate_is_refused(folder):
    with pytest.raises(ValueError, match=r"train\.json: found 24000 Hz, expected 48000 Hz.*--convert-to"):
        load(folder, sample_rate=48_000)


def test_files_of_another_rate_are_found_without_a_sidecar(folder):
    (folder / "train.json").unlink()
    soundfile.write(folder / "audio/train003.wav", np.zeros(70_000), 44_100)
    with pytest.raises(ValueError, match=r"train003\.wav: found 44100 Hz, expected 24000 Hz"):
        load(folder)


def test_a_folder_without_audio_is_found_at_once(folder):
    for path in (folder / "audio").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"none of the 4 tracks tried can be read\. The first: .*no such file"):
        load(folder)


def test_a_missing_folder_is_named_with_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"task\.data=nowhere: no such folder \({tmp_path}/nowhere\)"):
        load("nowhere")


@pytest.mark.parametrize("option", ["data", "label_dir"])
def test_a_relative_folder_after_hydra_changed_directory_is_refused_and_the_intended_one_named(
    folder, tmp_path, monkeypatch, option
):
    hydra = OmegaConf.create({"hydra": {"runtime": {"cwd": str(folder.parent)}}})
    monkeypatch.setattr(HydraConfig.instance(), "cfg", hydra)
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path / "outputs")
    with pytest.raises(
        FileNotFoundError, match=rf"task\.{option}={folder.name}: no such folder .*Give {folder}, or .*chdir=false"
    ):
        make_task(**{"folder": folder, option: folder.name})
    monkeypatch.chdir(folder.parent)
    assert make_task(**{"folder": folder, option: folder.name}).cfg[option] == folder.name


# Where labels come from


def record(folder, split, teacher="a", packed=False):
    """Record teacher and manifest of rvq_0 ... rvq_2 as a label job does: in a sidecar, or in the packed header."""
    manifest = Manifest.read(folder / f"{split}.tsv")
    job = {
        "teacher": "k-means", "sha256": teacher * 64, "sample_rate": 24_000, "label_rate_hz": 75,
        "codebook_sizes": [CODES] * 3, "tracks": len(manifest), "manifest_sha256": manifest.tracks_sha256,
    }  # fmt: skip
    if packed:
        header = folder / f"{split}.rvq.codes.json"
        header.write_text(json.dumps({**json.loads(header.read_text()), "settings": job}))
        return header
    (folder / f"{split}.rvq.json").write_text(json.dumps({"job": job, "columns": COLUMNS}))
    return folder / f"{split}.rvq.json"


@pytest.fixture(params=["text", "padded", "packed", "packed without sidecar"])
def recorded(tmp_path, request):
    """Two splits, how their labels are recorded, and the task's options."""
    packed = request.param.startswith("packed")
    for split, lengths in (("train", LENGTHS), ("valid", [48_000, 60_000])):
        write_corpus(tmp_path, lengths, split, packed=packed)
        if request.param == "padded":
            convert_labels(tmp_path, split, COLUMNS, "padded", tmp_path)
            for column in COLUMNS:
                (tmp_path / f"{split}.{column}").unlink()

    def note(split, teacher="a"):
        return record(tmp_path, split, teacher, request.param == "packed without sidecar")

    return tmp_path, note, {"numpy_memmap_label": request.param == "padded"}


def test_labels_of_one_teacher_and_this_manifest_are_accepted(recorded):
    folder, note, options = recorded
    task = make_task(folder, **options)
    for split in ("train", "valid"):
        note(split)
        task.load_dataset(split)


def test_two_splits_labelled_by_two_teachers_are_refused(recorded):
    folder, note, options = recorded
    note("train")
    second = note("valid", "b")
    task = make_task(folder, **options)
    task.load_dataset("train")
    with pytest.raises(
        LabelError,
        match=rf"{second}: rvq_0 of valid was made by k-means b{{12}}, rvq_0 of train by k-means a{{12}} \(.*\): the "
        rf"same code means different things\. Delete dict\.rvq_0\.txt.* --splits train valid",
    ):
        task.load_dataset("valid")


def test_labels_of_an_older_manifest_are_refused(recorded):
    folder, note, options = recorded
    where = note("train")
    manifest = Manifest.read(folder / "train.tsv")
    names = [manifest.paths[track] for track in (3, 2, 1, 0)]  # other tracks of the same lengths
    Manifest(manifest.root, names, manifest.samples, 24_000).write(folder / "train.tsv")
    with pytest.raises(LabelError, match=rf"{where}: the labels were made from other tracks or lengths than .*delete"):
        load(folder, **options)


def test_labels_without_a_record_stay_usable(recorded):
    folder, note, options = recorded
    note("train")
    task = make_task(folder, **options)
    for split in ("train", "valid"):
        task.load_dataset(split)


# Families of labels


@pytest.mark.parametrize("labels", ["rvq", ["rvq"], "['rvq']", ["rvq_0", "rvq_1", "rvq_2"]])
def test_a_family_expands_to_its_members(folder, labels):
    task = make_task(folder, labels=labels)
    assert task.label_names == ["rvq_0", "rvq_1", "rvq_2"]
    assert [len(each) for each in task.dictionaries] == [CODES + 4] * 3
    task.load_dataset("train")
    np.testing.assert_array_equal(task.dataset("train")[0].classes, load(folder)[0].classes)


def test_families_and_labels_can_be_combined(folder):
    write_corpus(folder, LENGTHS, columns=["logmel_300"])
    assert make_task(folder, labels=["logmel_300", "rvq"]).label_names == ["logmel_300", "rvq_0", "rvq_1", "rvq_2"]


def test_a_family_with_gaps_lists_what_was_found(folder):
    (folder / "dict.rvq_1.txt").unlink()
    with pytest.raises(LabelError, match=r"found rvq_0, rvq_2, expected rvq_0, rvq_1, \.\.\. without gaps"):
        load(folder, labels="rvq")


def test_an_unknown_family_lists_the_labels_found(folder):
    with pytest.raises(LabelError, match=r"dict\.mfcc\.txt: no such dictionary, .*the labels rvq_0, rvq_1, rvq_2\."):
        load(folder, labels="mfcc")


def test_a_checkpoint_stores_the_members_of_its_families(folder, tmp_path):
    task = make_task(folder, labels="rvq")
    assert len(task.dictionaries) == 3
    torch.save(task.state_dict(), tmp_path / "state.pt")
    elsewhere = make_task(tmp_path / "nowhere", labels="rvq")
    elsewhere.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert elsewhere.label_names == ["rvq_0", "rvq_1", "rvq_2"]
    assert len(elsewhere.dictionaries) == 3
    write_dictionary(folder / "dict.rvq_3.txt", [1] * CODES)  # a codebook more than the model has
    resumed = make_task(folder, labels="rvq")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    resumed.load_dataset("train")
    assert resumed.dataset("train")[0].classes.shape[1] == 3


def test_another_number_of_labels_than_the_checkpoints_is_refused(folder):
    task = make_task(folder)
    assert len(task.dictionaries) == 3
    task.cfg.labels = ["rvq_0"]
    with pytest.raises(LabelError, match=r"task\.labels: found 1 labels \(rvq_0\), expected 3, as many as"):
        task.load_dataset("train")


@pytest.mark.parametrize("labels", [3, "[rvq_0", [], ["rvq_0", "rvq_0"]])
def test_labels_that_are_no_names_are_refused(folder, labels):
    with pytest.raises(ValueError, match=r"task\.labels: found .*, expected .* such as \[encodec_0, encodec_1\]"):
        make_task(folder, labels=labels)


# Shards


@pytest.fixture
def sharded(tmp_path):
    for shard in range(3):
        write_corpus(tmp_path, [48_000] * (shard + 1), f"train_{shard}_3")
    return write_corpus(tmp_path, [48_000] * 9, "valid")


def test_each_epoch_loads_its_shard(sharded):
    options = {"sharding_data": 3, "load_random_data_shard": False}
    assert [len(load(sharded, epoch=epoch, **options)) for epoch in (1, 2, 3, 4)] == [1, 2, 3, 1]
    drawn = [len(load(sharded, epoch=epoch, sharding_data=3)) for epoch in range(1, 9)]
    assert drawn == [len(load(sharded, epoch=epoch, sharding_data=3)) for epoch in range(1, 9)]
    assert len(set(drawn)) > 1


def test_each_epochs_shard_is_checked(sharded):
    for shard in range(3):
        record(sharded, f"train_{shard}_3", "abc"[shard])
    task = make_task(sharded, sharding_data=3, load_random_data_shard=False)
    task.load_dataset("train", epoch=1)
    with pytest.raises(LabelError, match=r"train_1_3\.rvq\.json: rvq_0 of train_1_3 was made by"):
        task.load_dataset("train", epoch=2)


def test_a_missing_shard_is_reported_in_the_first_epoch(sharded):
    (sharded / "train_2_3.tsv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"found no train_2_3\.tsv, expected 3 shards .*make_shards\.py .* 3 --split train\)"
    ):
        load(sharded, sharding_data=3, load_random_data_shard=False)


@pytest.mark.parametrize("name", ["train", "fma"])
def test_fairseq_reloads_training_shards_and_nothing_else(sharded, name):
    task = make_task(sharded, sharding_data=3, train_subset=name)
    assert task.has_sharded_data("train"), "what fairseq_cli.train asks, whatever the split is called"
    assert task.has_sharded_data(name)
    assert not task.has_sharded_data("valid")
    assert not make_task(sharded).has_sharded_data("train")
    task.load_dataset("valid", epoch=2)
    assert len(task.dataset("valid")) == 9


# What fairseq sees


def test_dictionaries_equal_those_of_fairseq(folder):
    found = make_task(folder).dictionaries
    expected = [Dictionary.load(str(folder / f"dict.{name}.txt")) for name in COLUMNS]
    assert [(each.symbols, each.count, len(each)) for each in found] == [
        (each.symbols, each.count, len(each)) for each in expected
    ]


def test_a_checkpoint_stores_dictionaries_as_plain_values(folder, tmp_path):
    task = make_task(folder)
    assert len(task.dictionaries) == 3
    torch.save(task.state_dict(), tmp_path / "state.pt")
    elsewhere = make_task(tmp_path / "nowhere")
    elsewhere.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert [len(each) for each in elsewhere.dictionaries] == [CODES + 4] * 3


def test_a_published_checkpoint_may_hold_dictionary_objects(tmp_path):
    task, dictionary = make_task(tmp_path), Dictionary()
    task.load_state_dict({"dictionaries": [dictionary] * 3})
    assert task.dictionaries == [dictionary] * 3


def test_dictionaries_that_differ_from_the_checkpoints_are_refused(folder):
    task = make_task(folder)
    assert len(task.dictionaries) == 3
    write_dictionary(folder / "dict.rvq_1.txt", [1] * (CODES + 1))
    with pytest.raises(
        LabelError, match=r"dict\.rvq_1\.txt: found 51 codes that are not those of the checkpoint \(54 classes\)"
    ):
        task.load_dataset("train")


def test_each_training_epoch_has_a_new_iterator_and_validation_keeps_one(folder):
    task = make_task(folder)
    for split in ("train", "valid"):
        task.load_dataset(split)
    iterators = {
        split: [
            task.get_batch_iterator(task.dataset(split), max_tokens=100_000, seed=7, epoch=epoch) for epoch in (1, 2)
        ]
        for split in ("train", "valid")
    }
    assert iterators["train"][0] is not iterators["train"][1]
    assert iterators["valid"][0] is iterators["valid"][1]
    assert task.dataset("train").epoch == 2


class SilentCriterion:
    @staticmethod
    def reduce_metrics(logging_outputs):
        pass


def test_unreadable_tracks_of_all_ranks_stop_the_training(folder):
    task = make_task(folder, max_unreadable_share=0.5)
    task.load_dataset("train")
    logs = [{"ntokens": 1, "nsentences": 1, "unreadable": 1}]
    with metrics.aggregate() as logged:
        task.begin_epoch(1, None)
        task.reduce_metrics(logs * 2, SilentCriterion())
        assert logged["unreadable"].sum == 2
        with pytest.raises(TooManyUnreadableError, match=r"found 3 of 4 tracks unreadable in this epoch"):
            task.reduce_metrics(logs, SilentCriterion())
        task.begin_epoch(2, None)
        task.reduce_metrics(logs * 2, SilentCriterion())
