"""Checkpoints: read without trusting pickle, and published ones made to fit."""

from pathlib import Path
from typing import Any

import torch
from fairseq.data.dictionary import Dictionary
from torch import Tensor

STORED_CQT_KERNELS = "encoder_cqt_model.spec_layer."


def allow_safe_types() -> None:
    """Let torch load what fairseq puts beside the weights of a checkpoint, while it goes on refusing everything else.

    torch 2.6 and later load tensors and plain containers alone unless a type is named here. These types hold data and
    run no code when they are loaded.
    """
    from collections import defaultdict
    from typing import Any as typing_any

    from fairseq.distributed.utils import _TensorPlaceholder  # what rank 0 sends the others in a tensor's place
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
    """What a checkpoint holds, on the CPU, loaded without running code from it.

    Args:
        path: of the file.
        mapped: leave the weights on the disk until they are used; not for files of torch before 1.6.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no fairseq checkpoint, or damaged, or holds objects that would have to be trusted.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint. Give the .pt file that fairseq saved.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many types here, none of them public
        raise ValueError(
            f"{path}: damaged, or no fairseq checkpoint, or one with objects whose code would have to be trusted. "
            f"Fetch it again, from where it was trained."
        ) from error
    if not isinstance(state, dict) or "model" not in state:
        raise ValueError(f"{path}: holds no 'model'. Give a checkpoint that fairseq saved, such as checkpoint_last.pt.")
    return state


def drop_stored_cqt_kernels(state_dict: dict[str, Tensor]) -> None:
    """Take out the 176 MB of CQT kernels that published checkpoints carry; ours are computed when needed."""
    for key in [key for key in state_dict if key.startswith(STORED_CQT_KERNELS)]:
        del state_dict[key]
