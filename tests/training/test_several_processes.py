"""Several processes over gloo have the gradients of one process on the joined batch, and end with its parameters."""

import re
from pathlib import Path

import pytest
import torch
from numbered_corpus import write_corpus
from training.conftest import torchrun

from mert_fairseq.checkpointing.safe_loading import read_checkpoint

# All eight clips in one update; random parts that each process samples (dropout, mixture) are off.
ONE_BATCH = [
    "model.dropout=0",
    "model.attention_dropout=0",
    "model.dropout_input=0",
    "model.dropout_features=0",
    "model.encoder_layerdrop=0",
    "model.mixture_prob=-1",
]
# Each clip has two spans of five masked frames, because the feature penalty is a mean over the clips of a process,
# weighted by its masked frames. Adam's large epsilon makes its step proportional to the gradient, so that rounding
# errors do not grow where the gradient is zero.
SAME_BATCHES = [
    *ONE_BATCH,
    "optimization.max_update=5",
    "checkpoint.no_epoch_checkpoints=false",
    "checkpoint.save_interval=1",
    "model.mask_prob=0.01",
    "model.mask_length=5",
    "+model.no_mask_overlap=true",
    "optimizer.adam_eps=1.0",
    "optimization.lr=[1.0]",
]


@pytest.mark.slow
def test_gradients_of_1_2_and_4_ranks_are_equal(train, tmp_path):
    """Clips differ in their number of masked frames, so only a normalisation over the frames of all ranks passes."""
    gradients = {}
    for ranks in (1, 2, 4):
        file = tmp_path / f"gradients{ranks}.pt"
        launcher = [*torchrun(ranks), str(Path(__file__).with_name("train_and_keep_gradients.py")), str(file)]
        run = train(
            *ONE_BATCH, "criterion.features_pen_weight=0", "optimization.max_update=1", "checkpoint.no_save=true",
            f"dataset.max_tokens={192_000 // ranks}", launcher=launcher,
        )  # fmt: skip
        assert run.status == 0, run.output
        gradients[ranks] = torch.load(file)
    one = gradients.pop(1)
    norm = torch.cat([gradient.flatten() for gradient in one.values()]).norm()
    assert norm > 0.1
    for ranks, found in gradients.items():
        assert found.keys() == one.keys()
        for name, gradient in one.items():
            torch.testing.assert_close(found[name], gradient, rtol=0, atol=1e-6, msg=f"{name} of {ranks} ranks")
        difference = torch.cat([(found[name] - gradient).flatten() for name, gradient in one.items()]).norm()
        assert difference / norm < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "max_tokens"), [(2, 96_000), (4, 48_000)])
def test_parameters_equal_those_of_one_process_on_the_joined_batch(train, ranks, max_tokens):
    one = train(*SAME_BATCHES, "dataset.max_tokens=192000", save_dir="one")
    assert one.status == 0, one.output
    world = f"distributed_training.distributed_world_size={ranks}"
    two = train(*SAME_BATCHES, f"dataset.max_tokens={max_tokens}", world, save_dir="two")
    assert two.status == 0, two.output
    start, end_one, end_two = (
        read_checkpoint(run.save_dir / name)["model"]
        for run, name in ((one, "checkpoint1.pt"), (one, "checkpoint_last.pt"), (two, "checkpoint_last.pt"))
    )
    moved = [name for name in end_one if not torch.equal(start[name], end_one[name])]
    assert len(moved) > 0.9 * len(end_one)
    for name, parameter in end_one.items():
        torch.testing.assert_close(end_two[name], parameter, rtol=1e-5, atol=1e-6, msg=name)
    assert list(one.losses) == list(two.losses) == [1, 2, 3, 4, 5]
    for update, loss in one.losses.items():
        assert two.losses[update] == pytest.approx(loss, abs=2e-3)


@pytest.mark.slow
def test_a_rank_with_padding_and_one_without_train_together(train, tmp_path):
    """One of two batches is padded. fairseq sums tensors and numbers separately: both ranks must log the same types."""
    corpus = write_corpus(tmp_path / "music", [24_000] * 4 + [23_000, 22_500] * 2, columns=("rvq_0", "rvq_1"))
    run = train(
        f"task.data={corpus}", "task.pad_audio=true", "optimization.max_update=3", "checkpoint.no_save=true",
        "distributed_training.distributed_world_size=2",
    )  # fmt: skip
    assert run.status == 0, run.output
    assert list(run.losses) == [1, 2, 3]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_on_one_rank_ends_all_ranks_together_and_names_rank_and_term(train):
    launcher = [*torchrun(2), str(Path(__file__).with_name("train_and_overflow.py")), "2", "1"]
    run = train("optimization.max_update=4", "checkpoint.no_save=true", launcher=launcher, timeout=200)
    assert run.status == 1
    assert max(run.losses) == 2
    found = re.findall(r"FloatingPointError: (the loss is not finite .*?}})", run.output)
    assert set(found) == {"the loss is not finite at update 2: {'rank 1': {'loss_cqt_pred_m': nan}}"}
    assert len(found) >= 2, "each rank reports it"
