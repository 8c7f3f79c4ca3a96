"""Activation checkpointing that DDP can train with, also when it looks for unused parameters."""

import functools
from collections.abc import Callable
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


def checkpoint_activations(module: nn.Module) -> None:
    """Let a module keep only its inputs, and compute the rest again in the backward pass.

    fairseq's wrapper uses PyTorch's reentrant form, which fails under DDP with ``find_unused_parameters=true``.
    Evaluation is not affected: without gradients there is nothing to keep.
    """
    # a partial, not a closure: deepcopy of the module (EMA) then copies the module that it calls too
    module.forward = functools.partial(_checkpointed, module.forward)


def _checkpointed(forward: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return checkpoint(forward, *args, use_reentrant=False, **options)
