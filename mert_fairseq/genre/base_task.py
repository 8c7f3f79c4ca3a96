"""Base class of the genre tasks (vocabulary, history, predictions), and loading a trained classifier."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq import utils
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from fairseq.dataclass import FairseqDataclass
from fairseq.logging import metrics
from fairseq.tasks import TASK_REGISTRY, FairseqTask
from omegaconf import II
from torch import nn
from tqdm import tqdm

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.genre.epoch_history import HISTORY_FILE, EpochHistory
from mert_fairseq.genre.metrics import Predictions, average_by_track
from mert_fairseq.genre.vocabulary import GenreVocabulary

VOCABULARY_FILE = "genres.json"


@dataclass
class GenreConfig(FairseqDataclass):
    """Options of every genre task."""

    history_dir: str = field(
        default=II("checkpoint.save_dir"),
        metadata={"help": f"output folder of {HISTORY_FILE} (loss and accuracy per epoch) and {VOCABULARY_FILE}"},
    )


class GenreTask(FairseqTask):
    """Base class of the genre tasks. A subclass implements :meth:`read_genres` and loads data sets.

    Checkpoints carry the task's state: ``genres`` (titles in the order of the outputs), ``genre_counts`` (training
    tracks per genre) and ``history`` (rows of :class:`EpochHistory`).

    A batch has ``id`` (B,), the track ids by which clips are averaged, ``net_input``, and ``target``: (B,) int64, or
    (B, K) float for multi-label tracks.
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
        """Read the genres and their training tracks from the data. Not called if a checkpoint provides them."""

    @property
    @abstractmethod
    def multi_label(self) -> bool:
        """Whether a track may have several genres: probabilities are then sigmoids instead of a softmax."""

    def _read_history(self) -> list[dict[str, float]]:
        """Read the rows of an earlier run: fairseq's trainer resumes without the task's state."""
        path = Path(self.cfg.history_dir) / HISTORY_FILE
        return EpochHistory.read(path).rows if path.is_file() else []

    @property
    def vocabulary(self) -> GenreVocabulary:
        """Maps genres to the outputs of the model."""
        return GenreVocabulary(self.state.genres)

    @property
    def genre_counts(self) -> list[int]:
        """Number of training tracks per genre."""
        return self.state.genre_counts

    @property
    def source_dictionary(self) -> None:
        return None

    @property
    def target_dictionary(self) -> None:
        return None

    def begin_epoch(self, epoch: int, model: nn.Module) -> None:
        """Remember the epoch, and raise an error now if the history is damaged, not after hours of training."""
        self._epoch = epoch
        EpochHistory(self.state.history)

    def begin_valid_epoch(self, epoch: int, model: nn.Module) -> None:
        self._epoch, self._recorded = epoch, False

    def post_validate(self, model: nn.Module, stats: dict[str, Any], agg: Any) -> None:
        """Record the epoch. fairseq calls this after each validation, before it saves the checkpoint.

        If there are several validation sets, only the first is recorded: it selects the best checkpoint.
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
        """Names of tracks for people; by default their ids."""
        return ids

    def probabilities(self, logits: torch.Tensor) -> np.ndarray:
        """(B, K) float64 probabilities from logits (B, K): softmax over genres, or sigmoids for multi-label tracks."""
        values = logits.double()
        return (values.sigmoid() if self.multi_label else values.softmax(-1)).cpu().numpy()

    @torch.no_grad()
    def predict(self, model: nn.Module, split: str, **batches: Any) -> Predictions:
        """Predict a split. Probabilities of the clips of a track are averaged; ids are those of `names_of`.

        Args:
            model: is set to evaluation mode.
            split: is loaded if necessary.
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


class Classifier(NamedTuple):
    """A trained model, its task, and the full configuration of its training."""

    model: nn.Module
    task: GenreTask
    cfg: Any


def load_classifier(path: Path | str, **overrides: Any) -> Classifier:
    """Load a checkpoint of a genre task onto a GPU if there is one. Unsafe pickled objects are rejected.

    Args:
        path: the .pt file.
        overrides: task options to change, such as ``data``; None leaves an option unchanged.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if the file is not a complete checkpoint of a genre task.
    """
    path = Path(path)
    _check_state(path, read_checkpoint(path))
    changed = {name: value for name, value in overrides.items() if value is not None}
    models, cfg, task = load_model_ensemble_and_task([str(path)], arg_overrides=changed)
    model = models[0].eval()
    return Classifier(model.cuda() if torch.cuda.is_available() else model, task, cfg)


def _check_state(path: Path, state: Mapping[str, Any]) -> None:
    """Raise a clear error for a checkpoint from which fairseq cannot build the task and the model."""
    name = _section(_section(state, "cfg"), "task").get("_name")
    task = TASK_REGISTRY.get(name)
    if task is None or not issubclass(task, GenreTask):
        raise ValueError(
            f"{path}: found a checkpoint of the task {name}, expected one that classifies genres: fma_genre or "
            f"genre_audio (config/genre)."
        )
    if absent := [key for key in ("task_state", "optimizer_history") if not state.get(key)]:
        raise ValueError(f"{path}: lacks {' and '.join(absent)}. Give a checkpoint that training saved.")


def _section(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = holder.get(key)
    return found if isinstance(found, Mapping) else {}
