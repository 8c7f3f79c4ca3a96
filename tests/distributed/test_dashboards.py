"""TensorBoard and Weights & Biases: names, values, and a disk that fails."""

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from event_files import events, images, scalars
from fairseq.dataclass.configs import FairseqConfig
from fairseq.logging import progress_bar
from omegaconf import OmegaConf
from PIL import Image

from mert_fairseq.distributed import dashboards
from mert_fairseq.distributed.metric_names import readable_name, readable_values


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("loss", "loss/total"),
        ("best_loss", "loss/total_best"),
        ("loss_m_0", "bits/codebook_0"),
        ("loss_u_7", "bits_unmasked/codebook_7"),
        ("accuracy_m_12", "accuracy/codebook_12"),
        ("best_accuracy_m_1", "accuracy/codebook_1_best"),
        ("baseline_m_0", "baseline_accuracy/codebook_0"),
        ("over_baseline_m_0", "accuracy_over_baseline/codebook_0"),
        ("over_baseline_u_0", "accuracy_over_baseline_unmasked/codebook_0"),
        ("cqt_pred_m", "spectra/CQT_error"),
        ("lr", "optimizer/learning_rate"),
        ("gnorm", "optimizer/gradient_norm"),
        ("loss_scale", "optimizer/loss_scale"),
        ("audio_hours", "audio/hours_heard"),
        ("audio_per_second", "audio/seconds_per_second"),
        ("accuracy", "accuracy"),  # of the genre tasks
    ],
)
def test_a_key_has_a_readable_name(key, name):
    assert readable_name(key) == name


def test_numbers_are_logged_and_the_update_number_is_the_axis():
    stats = {"lr": 0.5, "gnorm": torch.tensor(2.0), "num_updates": 7, "ppl": None, "name": "a", "pair": torch.ones(2)}
    assert readable_values(stats) == {"optimizer/learning_rate": 0.5, "optimizer/gradient_norm": 2.0}


@pytest.fixture
def bar(tmp_path, monkeypatch):
    """fairseq's progress bar that logs to TensorBoard, with our methods."""
    monkeypatch.setattr(progress_bar, "_tensorboard_writers", {})
    for owner, name, replacement in dashboards.REPLACED:
        monkeypatch.setattr(owner, name, replacement)
    return progress_bar.progress_bar([], log_format="none", tensorboard_logdir=str(tmp_path / "tb"))


def test_tensorboard_gets_the_values_at_once_by_tag(bar, tmp_path):
    bar.log({"lr": 0.25, "loss_m_0": 3.5, "num_updates": 4}, tag="train_inner", step=4)
    bar.print({"loss": 1.5, "num_updates": 6}, tag="valid")
    assert scalars(tmp_path / "tb/train_inner") == {"optimizer/learning_rate": {4: 0.25}, "bits/codebook_0": {4: 3.5}}
    assert scalars(tmp_path / "tb/valid") == {"loss/total": {6: 1.5}}
    assert next(events(tmp_path / "tb/valid")).file_version == "brain.Event:2"  # by which TensorBoard knows the format


def test_a_full_disk_costs_values_but_not_the_training(bar, tmp_path, monkeypatch, caplog):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this machine")
    bar.log({"lr": 0.1}, tag="train_inner", step=1)
    writer = progress_bar._tensorboard_writers["train_inner"]._events._py_recordio_writer
    writer._writer = full.open("wb", buffering=0)
    with caplog.at_level(logging.WARNING):
        bar.log({"lr": 0.2}, tag="train_inner", step=2)
    assert "common.tensorboard_logdir=" in caplog.text
    assert "update 2 is not logged there ([Errno 28] No space left on device)" in caplog.text
    bar.log({"lr": 0.3}, tag="train_inner", step=3)
    assert list(scalars(tmp_path / "tb/train_inner")["optimizer/learning_rate"]) == [1, 3]


def test_wandb_gets_all_values_of_an_update_in_one_call(monkeypatch):
    calls = []
    monkeypatch.setattr(progress_bar, "wandb", SimpleNamespace(log=lambda values, step: calls.append((values, step))))
    dashboards.log_to_wandb(None, {"lr": 0.5, "loss_m_0": 2.0, "num_updates": 3}, "train_inner")
    assert calls == [({"train_inner/optimizer/learning_rate": 0.5, "train_inner/bits/codebook_0": 2.0}, 3)]


def test_wandb_has_one_run_over_epochs_and_validations(monkeypatch):
    calls = []
    fake = SimpleNamespace(run=None, init=lambda **options: calls.append(options) or setattr(fake, "run", "a run"))
    monkeypatch.setattr(progress_bar, "wandb", fake)
    for owner, name, replacement in dashboards.REPLACED:
        monkeypatch.setattr(owner, name, replacement)
    for _ in range(3):
        progress_bar.progress_bar([], log_format="none", wandb_project="mert", wandb_run_name="95m")
    assert calls == [{"project": "mert", "name": "95m"}]


def config(**options):
    cfg = OmegaConf.structured(FairseqConfig)
    cfg.task = {"picture_interval_updates": 0}
    return OmegaConf.merge(cfg, OmegaConf.from_dotlist([f"{name}={value}" for name, value in options.items()]))


def validate(cfg, task, rank=0):
    """Run fairseq's ``validate``, replaced by a function that returns a loss, and what follows it."""
    trainer = SimpleNamespace(data_parallel_rank=rank, get_num_updates=lambda: 5, get_model=lambda: "model")
    return dashboards.draw_after_validation(lambda *_: [0.5])(cfg, trainer, task, None, ["valid"])


def draw_red(model, split, update, folder):
    folder.mkdir(parents=True)
    Image.new("RGB", (4, 3), "red").save(folder / "red.png")
    return folder / "red.png"


def test_a_picture_is_drawn_on_rank_0_and_logged_pixel_by_pixel(tmp_path, monkeypatch):
    monkeypatch.setattr(progress_bar, "_tensorboard_writers", {})
    cfg = config(**{"checkpoint.save_dir": tmp_path, "common.tensorboard_logdir": tmp_path / "tb"})
    assert validate(cfg, SimpleNamespace(draw_picture=draw_red), rank=1) == [0.5]
    assert not (tmp_path / "pictures").exists()
    assert validate(cfg, SimpleNamespace(draw_picture=draw_red)) == [0.5]
    logged = images(tmp_path / "tb/valid")
    assert list(logged) == [("pictures/CQT_and_prediction", 5)]
    (tmp_path / "logged.png").write_bytes(*logged.values())
    assert (np.asarray(Image.open(tmp_path / "logged.png")) == [255, 0, 0]).all()


def test_a_picture_that_fails_does_not_end_the_training(tmp_path, caplog):
    def fail(*_):
        raise RuntimeError("no memory")

    assert validate(config(**{"checkpoint.save_dir": tmp_path}), SimpleNamespace(draw_picture=fail)) == [0.5]
    assert "no picture at update 5: RuntimeError('no memory'). Training continues." in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"common.wandb_project": "mert"},
            r"wandb_project=mert: found no package wandb.*'mert_fairseq\[log\]'",
        ),
        (
            {"task.picture_interval_updates": 5, "dataset.disable_validation": True},
            r"task\.picture_interval_updates=5: .*after a validation, but dataset\.disable_validation is true",
        ),
        (
            {"task.picture_interval_updates": 5, "distributed_training.ddp_backend": "fully_sharded"},
            r"ddp_backend=fully_sharded no rank has the whole model",
        ),
    ],
)
def test_logs_that_could_not_be_written_are_refused(options, message, monkeypatch):
    monkeypatch.setattr(progress_bar, "wandb", None)
    dashboards.check_dashboards(config())
    with pytest.raises(ValueError, match=message):
        dashboards.check_dashboards(config(**options))
