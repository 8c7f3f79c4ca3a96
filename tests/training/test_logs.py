"""What a training shows in TensorBoard and Weights & Biases: the values of its JSON log, under readable names."""

import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from event_files import images, scalars
from PIL import Image

from mert_fairseq.reporting.training_log import INNER, TrainingLog

UPDATES = [
    "dataset.max_tokens=48000",  # two clips of 1 s; four updates per epoch
    "dataset.disable_validation=false",
    "dataset.validate_interval_updates=4",
    "checkpoint.save_interval=99",
]
NAMES = {
    "loss_m_1": "bits/codebook_1",
    "over_baseline_m_0": "accuracy_over_baseline/codebook_0",
    "cqt_pred_m": "spectra/CQT_error",
}
TRAINING_NAMES = {
    "lr": "optimizer/learning_rate",
    "gnorm": "optimizer/gradient_norm",
    "audio_hours": "audio/hours_heard",
    "audio_per_second": "audio/seconds_per_second",
}


def read_log(run, tmp_path) -> TrainingLog:
    assert run.status == 0, run.output
    path = tmp_path / f"{run.save_dir.name}.log"
    path.write_text(run.output)
    return TrainingLog.read(path)


@pytest.mark.slow
def test_tensorboard_shows_the_json_log_and_pictures_which_change_nothing(train, tmp_path):
    shown = train(
        "optimization.max_update=6", *UPDATES, f"common.tensorboard_logdir={tmp_path}/tb",
        "task.picture_interval_updates=4", save_dir="shown",
    )  # fmt: skip
    assert "tensorboardX" not in shown.output
    log = read_log(shown, tmp_path)
    for kind, names in ((INNER, NAMES | TRAINING_NAMES), ("valid", NAMES)):
        logged = scalars(tmp_path / "tb" / kind)
        for key, name in names.items():
            curve = log.curve(key, kind)
            assert list(logged[name]) == curve.updates.tolist(), name
            np.testing.assert_allclose(list(logged[name].values()), curve.values, rtol=1e-5, err_msg=name)
    hours = log.curve("audio_hours").values  # two clips of 1 s in each update
    np.testing.assert_allclose(hours, 2 * np.arange(1, 7) / 3600, atol=1e-5)
    assert all(speed > 0 for speed in log.curve("audio_per_second").values[1:])

    pictures = list((shown.save_dir / "pictures").iterdir())
    assert [path.name for path in pictures] == ["cqt_0000004.png"]  # after update 6 the next one is not yet due
    with Image.open(pictures[0]) as picture:
        assert picture.format == "PNG"
    assert list(images(tmp_path / "tb/valid")) == [("pictures/CQT_and_prediction", 4)]

    plain = train("optimization.max_update=6", *UPDATES, save_dir="plain")
    assert plain.losses == shown.losses
    assert not (plain.save_dir / "pictures").exists()


@pytest.mark.slow
def test_hours_continue_after_each_resume(train, tmp_path):
    hours = []
    for last in (3, 4, 6):  # update 4 ends an epoch
        log = read_log(train(f"optimization.max_update={last}", "dataset.max_tokens=48000"), tmp_path)
        hours += log.curve("audio_hours").values.tolist()
    np.testing.assert_allclose(hours, 2 * np.arange(1, 7) / 3600, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed: pip install '.[log]'")
def test_wandb_offline_keeps_the_same_values(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    log = read_log(
        train("optimization.max_update=6", *UPDATES, "common.wandb_project=mert", "task.picture_interval_updates=4"),
        tmp_path,
    )
    (folder,) = tmp_path.glob("wandb/offline-run-*")  # one run, over epochs and validations
    assert len(list(folder.glob("files/media/images/valid/pictures/*.png"))) == 1
    rows = wandb_rows(next(folder.glob("run-*.wandb")))
    for key, name in (NAMES | TRAINING_NAMES).items():
        values = [row[f"train_inner/{name}"] for row in rows if f"train_inner/{name}" in row]
        np.testing.assert_allclose(values, log.curve(key).values, rtol=1e-5, err_msg=name)


def wandb_rows(path: Path) -> list[dict[str, float]]:
    """The rows of an offline run: a header of 7 bytes, then LevelDB's log format in one block of 32 kB or several."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, rows, record = path.read_bytes(), 7, [], b""
    while place + 7 <= len(data):
        if (left := 32_768 - place % 32_768) < 7:
            place += left
            continue
        _, length, part = struct.unpack_from("<IHB", data, place)
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if part in (1, 4):  # a whole record, or the last part of one
            items, record = Record.FromString(record).history.item, b""
            rows.append({item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items})
    return rows
