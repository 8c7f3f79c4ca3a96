"""What the genre tasks share: vocabulary, counts, the history of epochs, and predictions of a split."""

from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq import utils
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import FairseqTask
from omegaconf import II
from torch import nn
from tqdm import tqdm

from mert_fairseq.genre.vocabulary import GenreVocabulary
from mert_fairseq.reporting.classification import Predictions, average_by_track
from mert_fairseq.reporting.epoch_history import HISTORY_FILE, EpochHistory

VOCABULARY_FILE = "genres.json"


@dataclass
class GenreConfig(FairseqDataclass):
    """Options that every genre task has."""

    history_dir: str = field(
        default=II("checkpoint.save_dir"),
        metadata={"help": f"gets {HISTORY_FILE} (loss and accuracy of each epoch) and {VOCABULARY_FILE}"},
    )


class GenreTask(FairseqTask):
    """Base of the tasks that classify genres; a subclass gives :meth:`read_genres` and loads data sets.

    The state, which checkpoints carry, holds ``genres`` (titles in the order of the outputs), ``genre_counts``
    (training tracks of each) and ``history`` (rows of :class:`EpochHistory`). Batches have ``id`` (B,) of the track, by
    which clips of a track are averaged, ``net_input``, and ``target``: (B,) int64, or (B, K) float for several genres a
    track.
    """

    cfg: GenreConfig

    def __init__(self, cfg: GenreConfig) -> None:
        super().__init__(cfg)
        self._epoch, self._recorded = 1, False
        self.state.add_factory("genres", lambda: list(self.read_genres()[0].titles))
        self.state.add_factory("genre_counts", lambda: list(self.read_genres()[1]))
        self.state.add_factory("history", self._read_history)

    @abstractmethod
    def read_genres(self) -> tuple[GenreVocabulary, list[int]]:
        """The genres and the training tracks of each, from the data; not called where a checkpoint brings them."""

    @property
    @abstractmethod
    def several_genres(self) -> bool:
        """Whether a track may have several genres, so that probabilities are sigmoids in place of a softmax."""

    def _read_history(self) -> list[dict[str, float]]:
        """Rows that an earlier run left: fairseq's trainer resumes without the task's state."""
        path = Path(self.cfg.history_dir) / HISTORY_FILE
        return EpochHistory.read(path).rows if path.is_file() else []

    @property
    def vocabulary(self) -> GenreVocabulary:
        """Which genre is which output of the model."""
        return GenreVocabulary(self.state.genres)

    @property
    def genre_counts(self) -> list[int]:
        """Training tracks of each genre."""
        return self.state.genre_counts

    @property
    def source_dictionary(self) -> None:
        return None

    @property
    def target_dictionary(self) -> None:
        return None

    def begin_epoch(self, epoch: int, model: nn.Module) -> None:
        """Remember the epoch; a damaged history is told now, before hours are spent."""
        self._epoch = epoch
        EpochHistory(self.state.history)

    def begin_valid_epoch(self, epoch: int, model: nn.Module) -> None:
        self._epoch, self._recorded = epoch, False

    def post_validate(self, model: nn.Module, stats: dict[str, Any], agg: Any) -> None:
        """Record the epoch; fairseq calls this after each validation, before it saves the checkpoint.

        Only the first of several validation sets is recorded: the one that chooses the best checkpoint.
        """
        train = metrics.get_smoothed_values("train")
        if self._recorded or "accuracy" not in train:
            return
        self._recorded = True
        history = EpochHistory(self.state.history)
        row: dict[str, float] = {"epoch": self._epoch, "updates": int(stats["num_updates"])}
        for split, values in (("train", train), ("valid", stats)):
            row |= {f"{split}_{name}": float(values[name]) for name in ("loss", "accuracy")}
        history.put(row)
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            folder = Path(self.cfg.history_dir)
            history.write(folder / HISTORY_FILE)
            self.vocabulary.write(folder / VOCABULARY_FILE)

    def names_of(self, split: str, ids: list[int]) -> list[Any]:
        """What people know the tracks of a split by; here their ids."""
        return ids

    def probabilities(self, logits: torch.Tensor) -> np.ndarray:
        """(B, K) float64 of logits (B, K): a softmax over genres, or with several genres a track a sigmoid of each."""
        values = logits.double()
        return (values.sigmoid() if self.several_genres else values.softmax(-1)).cpu().numpy()

    @torch.no_grad()
    def predict(self, model: nn.Module, split: str, **batches: Any) -> Predictions:
        """What a model says of a split; the probabilities of a track's clips are averaged. Ids are by `names_of`.

        Args:
            model: set to evaluation.
            split: loaded if it is not.
            batches: arguments of :meth:`get_batch_iterator`, such as ``max_sentences`` or ``max_tokens``.
        """
        model.eval()
        if split not in self.datasets:
            self.load_dataset(split)
        on_gpu = next(model.parameters()).is_cuda
        iterator = self.get_batch_iterator(self.dataset(split), **batches).next_epoch_itr(shuffle=False)
        ids, probabilities, targets = [], [], []
        for sample in tqdm(iterator, desc=split, unit="batch", leave=False):
            net_input = utils.move_to_cuda(sample["net_input"]) if on_gpu else sample["net_input"]
            probabilities.append(self.probabilities(model(**net_input)))
            ids += sample["id"].tolist()
            targets.append(sample["target"].numpy())
        found = average_by_track(ids, np.concatenate(probabilities), np.concatenate(targets))
        return found._replace(ids=self.names_of(split, found.ids))
