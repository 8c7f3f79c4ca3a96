"""Time of each part of a training update, forward and backward, on a GPU or CPU."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from fairseq.trainer import Trainer

PARTS = (
    "copies and rest", "mixing", "conv stack", "masks", "encoder", "heads", "CQT", "criterion",
    "backward: heads and criterion", "backward: encoder", "backward: masks and projection", "backward: conv stack",
    "optimizer",
)  # fmt: skip


class Timeline:
    """Spans of time, each ended by ``mark``, which names the part that it belongs to.

    On a GPU a mark is an event in its stream: a span includes the time that the GPU waits for the host.
    """

    def __init__(self, device: str) -> None:
        self._on_gpu = device == "cuda"
        self._marks: list[tuple[str, Any]] = []
        self._open = ["copies and rest"]

    def mark(self, part: str) -> None:
        """End the current span."""
        if self._on_gpu:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append((part, event))
        else:
            self._marks.append((part, time.perf_counter()))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Spans inside this context belong to ``name``, except those of parts inside it."""
        self.mark(self._open[-1])
        self._open.append(name)
        try:
            yield
        finally:
            self._open.pop()
            self.mark(name)

    def milliseconds(self) -> dict[str, float]:
        """Sum of the spans of each part, from the first mark on."""
        if self._on_gpu:
            torch.cuda.synchronize()
        total: dict[str, float] = defaultdict(float)
        for (_, start), (part, end) in zip(self._marks, self._marks[1:], strict=False):
            total[part] += start.elapsed_time(end) if self._on_gpu else 1e3 * (end - start)
        return dict(total)


@contextmanager
def parts_timed(trainer: Trainer, timeline: Timeline) -> Iterator[None]:
    """Mark the boundaries of the parts. They lie between compiled parts, so that ``model.compile`` works as before."""
    model, optimizer = trainer.model, trainer.optimizer
    encoder_forward, backward, front_end = model.encoder.forward, optimizer.backward, model._front_end_frames

    def named(owner: Any, name: str, part: str) -> Any:
        function = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            with timeline.part(part):
                return function(*args, **kwargs)

        return mock.patch.object(owner, name, call)

    def timed_front_end(*args: Any) -> Any:
        with timeline.part("conv stack"):
            features = front_end(*args)
        features.register_hook(lambda gradient: timeline.mark("backward: masks and projection"))
        return features

    def timed_encoder(x: Any, *args: Any, **kwargs: Any) -> Any:
        x.register_hook(lambda gradient: timeline.mark("backward: encoder"))
        with timeline.part("encoder"):
            output, layer_results = encoder_forward(x, *args, **kwargs)
        output.register_hook(lambda gradient: timeline.mark("backward: heads and criterion"))
        return output, layer_results

    def timed_backward(loss: Any) -> Any:
        timeline.mark("criterion")
        backward(loss)
        timeline.mark("backward: conv stack")

    with ExitStack() as patches:
        for owner, name, part in (
            (model, "mixture", "mixing"),
            (model, "_mask", "masks"),
            (model, "_predictions", "heads"),
            (model.encoder_cqt_model, "teacher", "CQT"),
        ):
            patches.enter_context(named(owner, name, part))
        patches.enter_context(mock.patch.object(model, "_front_end_frames", timed_front_end))
        patches.enter_context(mock.patch.object(model.encoder, "forward", timed_encoder))
        patches.enter_context(mock.patch.object(optimizer, "backward", timed_backward))
        yield
