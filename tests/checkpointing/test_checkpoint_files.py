"""Checkpoints are complete or absent, and a run continues from the last valid one."""

import errno
import resource
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fairseq import checkpoint_utils
from fairseq.dataclass.configs import CheckpointConfig
from fairseq.models import BaseFairseqModel
from torch import nn

from mert_fairseq.checkpointing import saving
from mert_fairseq.checkpointing.checkpoint_search import CheckpointError, check_checkpoint, find_last_valid
from mert_fairseq.checkpointing.resuming import add_resume_position, load_with_fallback


class Model(BaseFairseqModel):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 2)


def checkpoint(updates: int, width: int = 3, ranks: int = 1) -> dict:
    return {
        "model": Model(width).state_dict(),
        "cfg": {"distributed_training": {"distributed_world_size": ranks}},
        "optimizer_history": [{"num_updates": updates}],
        "extra_state": {"train_iterator": {"iterations_in_epoch": 3, "epoch": 1}},
    }


@contextmanager
def limit_file_size(size_bytes: int):
    """Writing more than ``size_bytes`` to a file fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_full_disk_keeps_the_old_checkpoint_and_leaves_no_partial_file(tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    saving.write_checkpoint({"a": torch.zeros(10)}, str(path))
    with limit_file_size(100_000), pytest.raises(OSError, match="File too large"):
        saving.write_checkpoint({"a": torch.zeros(1_000_000)}, str(path))
    assert torch.equal(torch.load(path)["a"], torch.zeros(10))
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_on_a_full_disk_keeps_the_old_file(tmp_path):
    new, last = tmp_path / "checkpoint_1_8.pt", tmp_path / "checkpoint_last.pt"
    last.write_bytes(b"old")
    new.write_bytes(b"x" * 200_000)
    with limit_file_size(100_000), pytest.raises(OSError, match="File too large"):
        saving.SafePathManager.copy(str(new), str(last), overwrite=True)
    assert last.read_bytes() == b"old"
    assert saving.SafePathManager.copy(str(new), str(last), overwrite=True)
    assert last.read_bytes() == new.read_bytes()


def test_a_failed_save_is_logged_and_only_the_last_one_fails_the_run(caplog):
    faults = [OSError(errno.ENOSPC, "No space left on device"), None, OSError(errno.EIO, "Input/output error")]

    def save(*args):
        if fault := faults.pop(0):
            raise fault
        return "saved"

    trainer, cfg = SimpleNamespace(get_num_updates=lambda: 8), SimpleNamespace(save_dir="exp")
    save_or_log = saving.save_or_log(save)
    assert save_or_log(cfg, trainer, None, None) is None
    assert "NOT SAVED at update 8" in caplog.text
    assert "Free some space" in caplog.text
    assert save_or_log(cfg, trainer, None, None) == "saved"
    saving.raise_if_unsaved()
    save_or_log(cfg, trainer, None, None)
    with pytest.raises(OSError, match="the last checkpoint was not saved"):
        saving.raise_if_unsaved()
    saving._failed_save.clear()


class Trainer:
    """The part of a trainer that fairseq's save_checkpoint uses."""

    data_parallel_rank, checkpoint_suffix, task = 0, "", None
    should_save_checkpoint_on_current_rank, always_call_state_dict_during_save_checkpoint = True, False

    def __init__(self) -> None:
        self.updates = 0

    def get_num_updates(self) -> int:
        return self.updates

    def consolidate_optimizer(self) -> None:
        pass

    def save_checkpoint(self, path: str, extra_state: dict) -> str:
        saving.write_checkpoint({"updates": self.updates, **extra_state}, path)
        return path


class Epoch:
    """An epoch of 4 updates."""

    def __init__(self, updates: int) -> None:
        self.updates, self.epoch = updates, (updates - 1) // 4 + 1

    def end_of_epoch(self) -> bool:
        return self.updates % 4 == 0

    def state_dict(self) -> dict:
        return {"epoch": self.epoch + self.end_of_epoch(), "iterations_in_epoch": self.updates % 4}


def save_all(folder: Path, **options) -> list[str]:
    """Train 12 updates, save every second one; returns the files that remain."""
    cfg = CheckpointConfig(save_dir=str(folder), save_interval_updates=2, **options)
    trainer = Trainer()
    for trainer.updates in range(2, 13, 2):
        save = saving.keep_update_files(checkpoint_utils.save_checkpoint)
        assert save(cfg, trainer, Epoch(trainer.updates), None)
    return sorted(path.name for path in folder.iterdir())


def test_an_update_to_be_saved_also_has_its_file_at_the_end_of_an_epoch(tmp_path):
    options = {"no_epoch_checkpoints": True, "keep_interval_updates": 1, "keep_interval_updates_pattern": 8}
    assert save_all(tmp_path, **options) == ["checkpoint_2_8.pt", "checkpoint_3_12.pt", "checkpoint_last.pt"]
    position = torch.load(tmp_path / "checkpoint_2_8.pt")["train_iterator"]
    assert position == {"epoch": 3, "iterations_in_epoch": 0}  # a resume starts the next epoch


def test_checkpoints_of_epochs_and_of_updates_are_both_written(tmp_path):
    names = save_all(tmp_path, save_interval=2)
    by_updates = [
        f"checkpoint_{epoch}_{updates}.pt" for epoch, updates in ((1, 2), (1, 4), (2, 6), (2, 8), (3, 10), (3, 12))
    ]
    assert names == sorted(["checkpoint2.pt", *by_updates, "checkpoint_last.pt"])


def test_a_truncated_checkpoint_is_skipped_for_the_one_before_it(tmp_path, caplog):
    for name, updates in (("checkpoint_1_4", 4), ("checkpoint_1_8", 8), ("checkpoint_last", 9), ("checkpoint2", 6)):
        torch.save(checkpoint(updates), tmp_path / f"{name}.pt")
    assert find_last_valid(tmp_path, Model()).updates == 9
    truncate(tmp_path / "checkpoint_last.pt")
    assert find_last_valid(tmp_path, Model()).path.name == "checkpoint_1_8.pt"
    assert "cannot continue from the last checkpoint" in caplog.text
    truncate(tmp_path / "checkpoint_1_8.pt")
    assert find_last_valid(tmp_path, Model()).path.name == "checkpoint2.pt"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"weights": torch.zeros(2)}, "holds no 'model'"),
        ({"model": {}}, "lacks optimizer_history, extra_state, cfg"),
        (checkpoint(4) | {"extra_state": {"epoch": 1}}, "lacks train_iterator"),
        (checkpoint(4, width=5), r"another model: layer.weight has shape \(2, 5\), expected \(2, 3\)"),
        ({"model": Path}, "damaged, not a fairseq checkpoint, or it holds objects that could run code when loaded"),
    ],
)
def test_an_invalid_checkpoint_is_named_and_never_overwritten_by_a_new_training(tmp_path, found, message):
    torch.save(found, tmp_path / "checkpoint_last.pt")
    with pytest.raises(ValueError, match=message):
        check_checkpoint(tmp_path / "checkpoint_last.pt", Model())
    with pytest.raises(CheckpointError, match="Move them away to start a new training"):
        find_last_valid(tmp_path, Model())


def test_an_empty_folder_starts_a_new_training(tmp_path):
    assert find_last_valid(tmp_path, Model()) is None


@pytest.mark.parametrize(
    ("saved_ranks", "ranks", "steps"), [(1, 1, 7), (1, 2, 3), (2, 1, 14), (4, 2, 14), (2, 4, 3), (3, 2, 10)]
)
def test_the_position_in_an_epoch_counts_batches_not_steps(saved_ranks, ranks, steps):
    """For fairseq's own iterator, which counts steps of one rank."""
    state = {"iterations_in_epoch": 7, "epoch": 3}
    add_resume_position(state, {"distributed_training": {"distributed_world_size": saved_ranks}}, ranks, [1, 2])
    assert state["iterations_in_epoch"] == steps
    assert state["update_freq"] == 2


def test_fairseqs_loader_gets_the_checkpoint_that_rank_0_finds(tmp_path):
    torch.save(checkpoint(8, ranks=4), tmp_path / "checkpoint_1_8.pt")
    (tmp_path / "checkpoint_last.pt").write_bytes(b"truncated")
    (tmp_path / ".checkpoint_1_12.pt.partial").write_bytes(b"of a killed run")
    trainer = SimpleNamespace(
        checkpoint_suffix="",
        data_parallel_rank=0,
        data_parallel_world_size=1,
        get_model=Model,
        load_checkpoint=lambda path: torch.load(path)["extra_state"],
        get_criterion=object,
        cfg=SimpleNamespace(common=SimpleNamespace(), optimization=SimpleNamespace(update_freq=[1])),
    )
    cfg = SimpleNamespace(
        save_dir=str(tmp_path),
        restore_file="checkpoint_last.pt",
        finetune_from_model="other.pt",
        reset_optimizer=False,
    )

    def load(chosen, trainer):
        assert chosen.finetune_from_model is None
        return chosen.restore_file, trainer.load_checkpoint(chosen.restore_file)

    path, extra_state = load_with_fallback(load)(cfg, trainer)
    assert path == str(tmp_path / "checkpoint_1_8.pt")
    assert extra_state["train_iterator"]["iterations_in_epoch"] == 12  # 3 steps of 4 ranks
    assert not list(tmp_path.glob(".*"))
    assert cfg.restore_file == "checkpoint_last.pt"
