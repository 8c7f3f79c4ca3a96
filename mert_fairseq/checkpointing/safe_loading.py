"""Loads checkpoints without trusting pickle, and adapts the published ones."""

from pathlib import Path
from typing import Any

import torch
from fairseq.data.dictionary import Dictionary
from torch import Tensor

STORED_CQT_KERNELS = "encoder_cqt_model.spec_layer."


def allow_safe_types() -> None:
    """Allow torch to load the types that fairseq stores in a checkpoint besides weights; all other types stay refused.

    torch 2.6 and later load only tensors and plain containers, plus the types named here. These types hold data and run
    no code when they are loaded.
    """
    from collections import defaultdict
    from typing import Any as typing_any

    from fairseq.distributed.utils import _TensorPlaceholder  # rank 0 sends it to the others in place of a tensor
    from omegaconf import DictConfig, ListConfig
    from omegaconf.base import ContainerMetadata, Metadata
    from omegaconf.nodes import AnyNode

    torch.serialization.add_safe_globals(
        [
            Dictionary,
            _TensorPlaceholder,
            DictConfig,
            ListConfig,
            ContainerMetadata,
            Metadata,
            AnyNode,
            typing_any,
            defaultdict,
            dict,
            list,
            int,
        ]
    )


def read_checkpoint(path: str | Path, mapped: bool = False) -> dict[str, Any]:
    """Load a checkpoint on the CPU without running code from it.

    Args:
        path: of the file.
        mapped: map the weights from disk and read them on use; not possible for files of torch before 1.6.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, not a fairseq checkpoint, or holds objects of other types.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint. Give the .pt file that fairseq saved.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many types here, none of them public
        raise ValueError(
            f"{path}: damaged, not a fairseq checkpoint, or it holds objects that could run code when loaded. "
            f"Copy it again from where it was trained."
        ) from error
    if not isinstance(state, dict) or "model" not in state:
        raise ValueError(f"{path}: holds no 'model'. Give a checkpoint that fairseq saved, such as checkpoint_last.pt.")
    return state


def drop_stored_cqt_kernels(state_dict: dict[str, Tensor]) -> None:
    """Remove the 176 MB of CQT kernels in published checkpoints; this package computes them when needed."""
    for key in [key for key in state_dict if key.startswith(STORED_CQT_KERNELS)]:
        del state_dict[key]
