"""The log reader on a log written by hand, in both of fairseq's line formats."""

import numpy as np
import pytest

from mert_fairseq.reporting.training_log import TrainingLog, parse_line

FIRST_RUN = """\
[10:00:00,001][fairseq_cli.train][INFO] - {'_name': None, 'common': {'log_interval': 10}}
[10:00:00,002][fairseq.trainer][INFO] - begin training epoch 1
[10:00:09,100][train_inner][INFO] - {"epoch": 1, "update": 0.5, "loss": "6.5", "num_updates": "10", "lr": "0.1"}
[10:00:19,100][train_inner][INFO] - {"epoch": 1, "update": 1.0, "loss": "6", "num_updates": "20", "lr": "None"}
[10:00:20,100][valid][INFO] - {"valid_loss": "5.9", "valid_accuracy_rvq_0": "0.125", "valid_num_updates": "20"}
[10:00:21,100][train][INFO] - {"epoch": 1, "train_loss": "6.2", "train_num_updates": "20", "train_wall": "12"}
[10:00:29,100][train_inner][INFO] - {"epoch": 2, "update": 1.5, "loss": "99", "num_updates": "30"}
[10:00:39,100][train_inner][INFO] - {"epoch": 2, "update": 2.0, "loss": "98", "num_upd
"""
RESUMED = """\
10:01:09 | INFO | train_inner | {"epoch": 2, "update": 1.5, "loss": "5.5", "num_updates": "30"}
10:01:19 | INFO | train_inner | {"epoch": 2, "update": 2.0, "loss": "5", "num_updates": "40"}
10:01:20 | INFO | valid | {"epoch": 2, "valid_loss": "4.5", "valid_num_updates": "40"}
"""


@pytest.fixture
def log(tmp_path):
    (tmp_path / "first.log").write_text(FIRST_RUN)
    (tmp_path / "resumed.log").write_text(RESUMED)
    return TrainingLog.read(tmp_path / "first.log", tmp_path / "resumed.log")


def test_a_resumed_run_replaces_what_the_killed_one_logged_past_its_checkpoint(log):
    loss = log.curve("loss")
    np.testing.assert_array_equal(loss.updates, [10, 20, 30, 40])
    np.testing.assert_array_equal(loss.values, [6.5, 6.0, 5.5, 5.0])


def test_validation_values_lose_their_prefix(log):
    assert log.kinds() == ["train", "train_inner", "valid"]
    np.testing.assert_array_equal(log.curve("loss", "valid").values, [5.9, 4.5])
    np.testing.assert_array_equal(log.curve("accuracy_rvq_0", "valid").updates, [20])
    assert log.curve("wall", "train").values.tolist() == [12.0]


def test_a_value_that_is_no_number_is_left_out(log):
    assert log.curve("lr").updates.tolist() == [10]


def test_an_unknown_quantity_lists_those_there_are(log):
    with pytest.raises(KeyError, match=r"no 'accuracy' in 'train_inner' records; it has epoch, loss, lr"):
        log.curve("accuracy")


def test_a_log_without_records_says_how_to_get_them(tmp_path):
    (tmp_path / "empty.log").write_text("Traceback (most recent call last):\n")
    with pytest.raises(ValueError, match=r"empty\.log: no training record found.*common\.log_format=json"):
        TrainingLog.read(tmp_path / "empty.log")


@pytest.mark.parametrize("line", ["", "{", "[1, 2]", '[x][INFO] - {"a": 1}', "{'python': 'dict'}"])
def test_other_lines_are_no_records(line):
    assert parse_line(line) is None
