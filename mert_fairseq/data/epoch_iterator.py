"""The batches of a training epoch, and the position in the epoch: which clips are done.

fairseq counts steps. A resume with another batch size or number of ranks then skips or repeats a part of the epoch.
Here a checkpoint stores the clips that are done. If the batches are the same, the epoch continues with the next batch.
If not, the remaining clips are cut into new batches. In both cases each clip of the epoch is used exactly once.
"""

import logging
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import FairseqDataset, data_utils
from fairseq.data.iterators import CountingIterator, EpochBatchIterator, ShardedIterator

logger = logging.getLogger(__name__)


class BatchLimits(NamedTuple):
    """Limits of a batch: samples, clips (None for no limit), and the number that divides the count of clips."""

    max_tokens: int | None
    batch_size: int | None
    multiple: int = 1


class ClipBatchIterator(EpochBatchIterator):
    """The batches of one training epoch, distributed over the ranks in turn.

    Args:
        dataset: implements ``ordered_indices`` and ``batch_by_size``.
        limits: of a batch.
        epoch: from 1.
        options: passed to fairseq's iterator.
    """

    def __init__(self, dataset: FairseqDataset, limits: BatchLimits, epoch: int = 1, **options: Any) -> None:
        self._limits = limits
        self._before = np.zeros(len(dataset), bool)  # clips done before the current batches were cut
        self._batches: list[np.ndarray] = []  # of all ranks, in training order
        self._skipped = 0  # batches already done when this process started
        self._first_step = 0  # steps of this rank that correspond to the clips done
        dataset.set_epoch(epoch)
        super().__init__(dataset, dataset.collater, _cut(dataset, limits, self._before), epoch=epoch, **options)

    def next_epoch_itr(self, *args: Any, **options: Any) -> CountingIterator:
        """As in fairseq. Only the resumed epoch continues in its middle; every other one starts with all its clips."""
        if self.next_epoch_idx != self.epoch:
            self.dataset.set_epoch(self.next_epoch_idx)
            self._start(np.zeros_like(self._before))
        return super().next_epoch_itr(*args, **options)

    def state_dict(self) -> dict[str, Any]:
        """fairseq's state, plus the clips that all ranks have done, one bit per clip."""
        state = super().state_dict()
        if state["iterations_in_epoch"]:
            steps = state["iterations_in_epoch"] - self._first_step
            done = self._done(self._before, self._skipped + steps * self.num_shards)
            state["clips"] = {"number": len(done), "done": _packed(done), "before": _packed(self._before)}
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue an epoch.

        Args:
            state_dict: from :meth:`state_dict`, or from fairseq's iterator, which counts steps. Uses the entries that
                :func:`mert_fairseq.checkpointing.resuming.add_resume_position` adds to either.
        """
        self.epoch, self._next_epoch_itr = state_dict["epoch"], None
        self.dataset.set_epoch(self.epoch)
        self._start(np.zeros_like(self._before))
        shuffle = state_dict.get("shuffle", True)
        restored = self._restored(state_dict, shuffle)
        if restored is None:
            return
        before, done = restored
        if done.all():
            logger.warning(f"epoch {self.epoch}: the checkpoint belongs to other data, so the epoch starts again")
            return
        self._continue(before, done, shuffle, state_dict.get("update_freq", 1))
        self._next_epoch_itr = self._get_iterator_for_epoch(self.epoch, shuffle)

    def _restored(self, state: dict[str, Any], shuffle: bool) -> tuple[np.ndarray, np.ndarray] | None:
        """The clips done before the last batches were cut, and all clips done; None to start the epoch."""
        if clips := state.get("clips"):
            if clips["number"] == len(self._before):
                return _unpacked(clips["before"], clips["number"]), _unpacked(clips["done"], clips["number"])
            logger.warning(
                f"epoch {self.epoch}: found {len(self._before)} clips, but the checkpoint was saved in an epoch of "
                f"{clips['number']}: the epoch starts again"
            )
            return None
        current = {"steps": state.get("iterations_in_epoch", 0), "ranks": self.num_shards, "limits": self._limits}
        saved = state.get("checkpoint") or current
        if not saved["steps"]:
            return None
        self._start(self._before, BatchLimits(*saved["limits"]))
        self._batches = self._shuffled(shuffle)
        return self._before, self._done(self._before, saved["steps"] * saved["ranks"])

    def _start(self, before: np.ndarray, limits: BatchLimits | None = None) -> None:
        """Cut the remaining clips into batches."""
        self._before, self._skipped, self._first_step, self.dataloader = before, 0, 0, None
        self._frozen_batches = _cut(self.dataset, limits or self._limits, before)

    def _continue(self, before: np.ndarray, done: np.ndarray, shuffle: bool, update_freq: int) -> None:
        """Skip the batches that are done, or cut new batches if their limits have changed."""
        self._start(before)
        self._batches = self._shuffled(shuffle)
        clips = np.cumsum([len(batch) for batch in self._batches])
        self._skipped = int(np.searchsorted(clips, done.sum() - before.sum())) + 1
        if not np.array_equal(self._done(before, self._skipped), done):
            self._start(done.copy())
        remaining = len(self._before) - int(self._before.sum())
        earlier = int(self._before.sum()) * len(self._frozen_batches) / remaining  # in batches
        self._first_step = round((earlier + self._skipped) / self.num_shards)
        self._first_step -= self._first_step % update_freq  # otherwise fairseq drops the rest of the last update
        logger.info(
            f"epoch {self.epoch}: continues after {done.sum()} of {len(done)} clips"
            + ("" if self._skipped else ", with batches of a different size")
        )

    def _done(self, before: np.ndarray, batches: int) -> np.ndarray:
        done = before.copy()
        for batch in self._batches[:batches]:
            done[batch] = True
        return done

    def _shuffled(self, shuffle: bool) -> list[np.ndarray]:
        """The batches of all ranks in fairseq's order, determined by seed and epoch."""
        batches = list(self._frozen_batches)
        ranks = self.num_shards if self.grouped_shuffling else 1
        whole = len(batches) - len(batches) % ranks
        groups = [batches[start : start + ranks] for start in range(0, whole, ranks)]
        if shuffle:
            with data_utils.numpy_seed(self.seed + self.epoch):
                np.random.shuffle(groups)
        return [*chain(*groups), *batches[whole:]]

    def _get_iterator_for_epoch(
        self, epoch: int, shuffle: bool, fix_batches_to_gpus: bool = False, offset: int = 0
    ) -> CountingIterator:
        self._batches = self._shuffled(shuffle)
        iterator = super()._get_iterator_for_epoch(epoch, shuffle, fix_batches_to_gpus)
        iterator.n += self._first_step
        iterator.total += self._first_step
        return iterator

    def ordered_batches(self, epoch: int, fix_batches_to_gpus: bool, shuffle: bool) -> list[Any]:
        """The remaining batches of this rank; a rank with one batch fewer gets an empty one at the end."""
        remaining = self._batches[self._skipped :]
        return list(ShardedIterator(remaining, self.num_shards, self.shard_id, fill_value=[]))

    def close(self) -> None:
        """Stop the workers of a finished epoch and drop the batches that were not fetched.

        fairseq's iterator refers to itself through its batch sampler. If the garbage collector frees it, the workers'
        queues may disappear before the workers are asked to end, and training waits 5 s per worker (seen with torch
        2.14).
        """
        self._cur_epoch_itr = self._next_epoch_itr = self.dataloader = None


def _cut(dataset: FairseqDataset, limits: BatchLimits, before: np.ndarray) -> tuple[np.ndarray, ...]:
    order = dataset.ordered_indices()
    return tuple(dataset.batch_by_size(order[~before[order]], limits.max_tokens, limits.batch_size, limits.multiple))


def _packed(clips: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.packbits(clips))


def _unpacked(bits: torch.Tensor, number: int) -> np.ndarray:
    return np.unpackbits(bits.cpu().numpy(), count=number).astype(bool)
