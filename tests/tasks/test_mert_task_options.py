"""The task's options: refused values, the crop schedule, and agreement with the model."""

import pytest
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.options import get_training_parser, parse_args_and_arch
from numbered_corpus import write_corpus
from omegaconf import OmegaConf
from pretraining_task import load, make_task
from tiny_mert import TINY, save_tiny_mert

from mert_fairseq.tasks.pretraining_config import check_mixture


@pytest.fixture
def folder(tmp_path):
    write_corpus(tmp_path, [48_000, 60_000], "valid")
    return write_corpus(tmp_path, [96_000, 64_000, 48_000, 70_000])


@pytest.mark.parametrize(("field", "value", "remedy"), [
    ("fine_tuning", True, "genre_audio"), ("single_target", True, "genre_audio"),
    ("augmentation_effects", "['reverb']", "remove the option"), ("augmentation_probs", "[0.5]", "remove the option"),
    ("cqt_loss_bin_dataloader", 84, "model.audio_cqt_bins"),
])  # fmt: skip
def test_options_without_effect_are_refused_by_name(tmp_path, field, value, remedy):
    with pytest.raises(ValueError, match=rf"task\.{field} is .*{remedy}"):
        make_task(tmp_path, **{field: value})


@pytest.mark.parametrize(("options", "message"), [
    ({"label_rate": -1.0}, r"task\.label_rate: found -1 Hz, expected the number of labels per second"),
    ({"max_unreadable_share": 1.5}, r"task\.max_unreadable_share: found 1\.5, expected a share from 0 to 1"),
    ({"labels": []}, r"task\.labels: found \[\], expected at least one name"),
    ({"labels": ["rvq_0", "rvq_1", "rvq_0"]}, r"task\.labels: found .*'rvq_0'\], expected .* no name twice"),
])  # fmt: skip
def test_values_out_of_range_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make_task(tmp_path, **options)


@pytest.mark.parametrize(("crops", "epochs"), [
    ("[5]", "[]"), ("[5, 10]", "[1, 1]"), ("[5, 10]", "[0, 3]"), ("[0]", "[1]"), ("[1]", "[1.5]"),
    ("__import__('os')", "[1]"),
])  # fmt: skip
def test_invalid_crop_schedules_are_refused(folder, crops, epochs):
    with pytest.raises(ValueError, match=r"task\.dynamic_crops"):
        load(folder, dynamic_crops=crops, dynamic_crops_epoches=epochs)


@pytest.mark.parametrize("options", [
    {"max_sample_size": 0}, {"max_sample_size": -5}, {"max_sample_size": 639},
    {"dynamic_crops": "[0.02]", "dynamic_crops_epoches": "[3]"},
])  # fmt: skip
def test_crops_too_short_for_a_frame_are_refused(folder, options):
    with pytest.raises(ValueError, match=r"task\.max_sample_size or .*, expected at least 640"):
        load(folder, **options)


def test_crops_follow_their_schedule_and_validation_has_one_length(folder):
    options = {"dynamic_crops": "[0.5, 1, 2]", "dynamic_crops_epoches": "[2, 4, 6]", "max_sample_size": 6000}
    assert [load(folder, epoch=epoch, **options).sizes.max() for epoch in (1, 2, 3, 4, 7)] == [
        6000,
        12_000,
        12_000,
        24_000,
        48_000,
    ]
    assert load(folder, "valid", epoch=1, **options).sizes.max() == 6000
    assert load(folder, "valid", epoch=1, **{**options, "max_sample_size": None}).sizes.max() == 48_000


# The model


@pytest.mark.parametrize(("field", "value"), [
    ("inbatch_noise_augment_len_range", "[2000, 4000]"), ("inbatch_noise_augment_number_range", "[1, 2]"),
    ("inbatch_noise_augment_volume", 0.5),
])  # fmt: skip
def test_mixture_options_of_the_task_must_be_the_models(folder, field, value):
    task = make_task(folder, **{field: value})
    with pytest.raises(ValueError, match=rf"task\.{field} is .*Set model\.{field} instead"):
        task.build_model(OmegaConf.create(TINY))
    task.build_model(OmegaConf.create({**TINY, field: value}))


def test_one_command_line_flag_sets_the_mixture_of_task_and_model(folder):
    flags = ["--task=mert_pretraining", "--arch=mert", "--labels=['rvq_0']", "--label-rate=75"]
    mixture = "--inbatch-noise-augment-len-range=[2000, 4000]"
    parsed = parse_args_and_arch(get_training_parser(), [str(folder), *flags, mixture])
    cfg = convert_namespace_to_omegaconf(parsed)
    assert cfg.model.inbatch_noise_augment_len_range == "[2000, 4000]"
    check_mixture(cfg.task, cfg.model)


def test_a_checkpoint_loads_without_the_pretrained_weights_of_its_training(folder, tmp_path):
    save_tiny_mert(tmp_path / "donor.pt")
    task, cfg = make_task(folder), OmegaConf.create({**TINY, "pretrained_weights": str(tmp_path / "donor.pt")})
    task.build_model(cfg)
    (tmp_path / "donor.pt").unlink()
    task.build_model(cfg, from_checkpoint=True)
    with pytest.raises(FileNotFoundError, match=r"donor\.pt: no such checkpoint.*leave model\.pretrained_w"):
        task.build_model(cfg)
