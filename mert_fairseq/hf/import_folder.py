"""mert-import-hf: a folder of transformers as a checkpoint that fairseq loads, fine-tunes and trains further."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf
from torch import Tensor

from mert_fairseq.checkpointing.warm_start import is_head
from mert_fairseq.extraction import model_folder as files
from mert_fairseq.extraction.weight_names import from_hf
from mert_fairseq.files import replacing
from mert_fairseq.hf.compare_states import compare
from mert_fairseq.hf.export import load_hf
from mert_fairseq.hf.folder_content import Folder, NewHeads, read_folder
from mert_fairseq.hf.pretraining import Codebook
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.models.pretrained import Pretrained, build_encoder
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig


class Imported(NamedTuple):
    """What an import found.

    Attributes:
        checkpoint: the file that was written.
        new_heads: what got a head of random weights: labels, CQT, log-mel; empty if the folder had heads.
        largest_difference: between the folder's model and the checkpoint's, relative to a layer's scale.
    """

    checkpoint: Path
    new_heads: tuple[str, ...]
    largest_difference: float


def import_hf(folder: str | Path, out: str | Path, new_heads: NewHeads) -> Imported:
    """Write a checkpoint; all layers are compared with those that transformers computes from the folder.

    Args:
        folder: an export of ours, or a model with HubertModel's weights and configuration.
        out: the new .pt file.
        new_heads: what to predict if the folder has no heads.

    Raises:
        FileNotFoundError, FileExistsError: if a file is missing, or ``out`` is there.
        ValueError: if the folder holds another model, is damaged, or its files contradict each other.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise FileExistsError(f"{out}: exists already. Give the name of a new file.")
    found = read_folder(folder, new_heads)
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), found.model)
    pretrained = Pretrained(found.model, int(found.task["sample_rate"]), bool(found.task.get("normalize", False)))
    weights, largest = _checked_weights(folder, found, pretrained)
    has_heads = bool(found.codebooks)
    codebooks = found.codebooks or new_heads.codebooks
    heads = files.read_safetensors(folder / files.HEADS) if has_heads else {}
    model = _with_heads(cfg, pretrained.sample_rate, codebooks, weights, heads, new_heads.seed, str(folder))
    with replacing(out) as partial:
        torch.save(_checkpoint(found, model, codebooks), partial)
    return Imported(out, () if has_heads else _head_names(model, new_heads), largest)


def _checked_weights(folder: Path, found: Folder, pretrained: Pretrained) -> tuple[dict[str, Tensor], float]:
    """The encoder's weights by fairseq name, and how far its layers are from those that transformers computes."""
    encoder = build_encoder(pretrained)
    where = str(folder / files.CONFIG)
    weights = from_hf(files.read_weights(folder), encoder.state_dict(), where)
    _load(encoder, weights, where)
    largest = compare(
        encoder.float().eval(),
        load_hf(folder, found.layout),
        pretrained.sample_rate,
        pretrained.normalize,
        f"{folder} as a checkpoint",
    )
    return weights, largest


def _load(model: MERTModel, weights: dict[str, Tensor], where: str) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{where}: the weights do not fit this configuration. {error}") from error


def _with_heads(
    cfg: MERTConfig,
    sample_rate: int,
    codebooks: Sequence[Codebook],
    weights: dict[str, Tensor],
    heads: dict[str, Tensor],
    seed: int,
    where: str,
) -> MERTModel:
    """The complete model: with ``heads``, or with random heads if there are none."""
    cfg = OmegaConf.merge(cfg, {"pretrained_weights": ""})  # type: ignore[assignment]
    specials = 4  # of fairseq's dictionaries
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MERTModel(cfg, sample_rate, [len(symbols) + specials for symbols, _ in codebooks])
    new = {name: weight for name, weight in model.state_dict().items() if is_head(name)}
    _load(model, {**weights, **(heads or new)}, where)
    return model


def _head_names(model: MERTModel, new_heads: NewHeads) -> tuple[str, ...]:
    spectra = {"CQT": model.encoder_cqt_model, "log-mel": model.encoder_mel_model}
    return (*new_heads.labels, *(name for name, head in spectra.items() if head is not None))


def _checkpoint(found: Folder, model: MERTModel, codebooks: Sequence[Codebook]) -> dict[str, Any]:
    """The checkpoint as fairseq's trainer saves it, at the start of an epoch, without optimizer state."""
    cfg: Any = OmegaConf.merge(OmegaConf.structured(MERTConfig), found.model)
    task: Any = OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), found.task)
    return {
        "args": None,
        "cfg": {
            "common": {"seed": 1},
            "dataset": {"train_subset": "train"},
            "task": OmegaConf.to_container(task, enum_to_str=True),
            "model": OmegaConf.to_container(cfg, enum_to_str=True),
        },
        "model": {name: weight.to(found.dtype) for name, weight in model.state_dict().items()},
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": "MERTCriterion",
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {},
                "num_updates": found.num_updates,
            }
        ],
        "task_state": {"label_symbols": list(codebooks)},
        "extra_state": {"train_iterator": {"epoch": 1, "version": 2, "iterations_in_epoch": 0}, "val_loss": None},
    }
