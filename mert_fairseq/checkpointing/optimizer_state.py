"""Resuming with ``adam`` what ``fused_adamw`` trained, and the other way round."""

import logging
from collections.abc import Callable
from typing import Any

from fairseq.trainer import Trainer

SAME_STATE = {"FairseqAdam", "FusedAdamW"}
fairseq_build_optimizer = Trainer._build_optimizer
logger = logging.getLogger(__name__)


def build_optimizer(self: Trainer) -> None:
    """fairseq's ``_build_optimizer``; while a checkpoint is loaded, accept the other optimizer's state.

    fairseq compares the names of the optimizers right after this. The two save the same state. In half precision both
    go by the name of fairseq's wrapper, so that nothing has to be done.
    """
    fairseq_build_optimizer(self)
    if not self._optim_history:
        return
    last, name = self._optim_history[-1], type(self.optimizer).__name__
    if {last.get("optimizer_name"), name} == SAME_STATE:
        logger.info(f"the checkpoint's optimizer state, of {last['optimizer_name']}, is loaded into {name}")
        self._optim_history = [*self._optim_history[:-1], {**last, "optimizer_name": name}]


REPLACED: list[tuple[type, str, Callable[..., Any]]] = [(Trainer, "_build_optimizer", build_optimizer)]
