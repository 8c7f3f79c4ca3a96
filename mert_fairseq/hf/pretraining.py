"""The parts of a pretraining checkpoint, and ``fairseq.json``, which carries its options in an export."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mert_fairseq.checkpointing.safe_loading import drop_stored_cqt_kernels, read_checkpoint
from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.extraction.model_folder import FORMAT
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.pretrained import Pretrained, build_encoder, load_encoder, parse_pretrained

# A codebook's symbols and their counts, in order, without fairseq's special symbols.
Codebook = tuple[list[str], list[int]]
PATHS = ("data", "label_dir", "pretrained_weights")  # options with local paths


@dataclass
class Pretraining:
    """What a checkpoint of the task ``mert_pretraining`` holds.

    Attributes:
        encoder: what the encoder is.
        weights: of the encoder, by fairseq name.
        heads: weights of the heads, by fairseq name; empty if there are none.
        task: options of the task.
        codebooks: one per label; empty if there are no heads.
        num_updates: of the training; None if unknown.
        metrics: the last ones that were logged, by name; of the validation where there was one.
    """

    encoder: Pretrained
    weights: dict[str, Tensor]
    heads: dict[str, Tensor]
    task: dict[str, Any]
    codebooks: list[Codebook] = field(default_factory=list)
    num_updates: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights: float16 after a training with common.fp16."""
        return self.weights["mask_emb"].dtype

    def build(self, where: str | Path) -> MERTModel:
        """The encoder in float32, without heads, in evaluation mode.

        Raises:
            ValueError: if the weights do not fit the options.
        """
        encoder = build_encoder(self.encoder)
        load_encoder(encoder, dict(self.weights), where)
        return encoder.float().eval()


def read_pretraining(path: str | Path) -> Pretraining:
    """Read a checkpoint without running code from it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a complete checkpoint of a pretrained MERT.
    """
    state = read_checkpoint(path)
    encoder, weights = parse_pretrained(state, path)
    drop_stored_cqt_kernels(state["model"])
    heads = {name: weight for name, weight in state["model"].items() if is_head(name)}
    history = state.get("optimizer_history") or [{}]
    return Pretraining(
        encoder=encoder,
        weights=weights,
        heads=heads,
        task=dict(state["cfg"]["task"]),
        codebooks=_codebooks(state.get("task_state") or {}),
        num_updates=history[-1].get("num_updates"),
        metrics=_metrics((state.get("extra_state") or {}).get("metrics") or {}),
    )


def _codebooks(task_state: dict[str, Any]) -> list[Codebook]:
    """Read from our task's state, or from fairseq's Dictionary objects in published checkpoints."""
    if "label_symbols" in task_state:
        return [(list(symbols), list(counts)) for symbols, counts in task_state["label_symbols"]]
    return [
        (dictionary.symbols[dictionary.nspecial :], dictionary.count[dictionary.nspecial :])
        for dictionary in task_state.get("dictionaries", [])
    ]


def _metrics(groups: dict[str, Any]) -> dict[str, float]:
    """Averages of fairseq's meters, which are stored as (priority, name, type, state)."""
    for group in ("valid", "train"):
        found = {
            name: float(state["sum"] / state["count"])
            for _, name, _, state in groups.get(group, [])
            if isinstance(state, dict) and state.get("count") and "sum" in state
        }
        if found:
            return {f"{group}_{name}": value for name, value in found.items()}
    return {}


def training_content(source: Pretraining) -> dict[str, Any]:
    """Content of ``fairseq.json``, which fairseq needs to continue the pretraining; local folders are omitted."""
    return {
        "format": FORMAT,
        "dtype": str(source.dtype).removeprefix("torch."),
        "model": _without_paths(source.encoder.options),
        "task": _without_paths(source.task),
        # symbols hold no blanks: a dictionary file separates symbol and count by one
        "codebooks": [
            {"symbols": " ".join(symbols), "counts": " ".join(map(str, counts))} for symbols, counts in source.codebooks
        ],
        "num_updates": source.num_updates,
        "metrics": source.metrics,
    }


def _without_paths(options: dict[str, Any]) -> dict[str, Any]:
    return {name: "" if name in PATHS and value else value for name, value in options.items()}


def codebooks_of(content: dict[str, Any]) -> list[Codebook]:
    """The codebooks, one per label."""
    return [
        (codebook["symbols"].split(), [int(count) for count in codebook["counts"].split()])
        for codebook in content["codebooks"]
    ]
