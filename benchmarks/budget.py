"""Counts the GPU work of a training step without a GPU: launches, host reads, memory, FLOPs, minimum time.

    python benchmarks/budget.py [--sizes 95m 330m] [--precisions fp16 bf16] [--front-end wave] [--clips 16]

A recipe's model runs on fake tensors, which have shapes but no data. The counts are PyTorch's operations on a GPU; a
few of them run two or three kernels (such as the gradient of layer norm).
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from fairseq import utils
from fairseq.data.dictionary import Dictionary
from fairseq.dataclass.configs import FairseqConfig
from fairseq.optim.fp16_optimizer import FP16Optimizer
from omegaconf import OmegaConf
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

sys.path.insert(0, str(Path(__file__).parent))
from launch_counter import LaunchCounter, PeakMemory, gpu_kernels

from mert_fairseq.criterions.mert_criterion import MERTCriterion
from mert_fairseq.data.collate import Clip, Collater
from mert_fairseq.distributed import fairseq_patches
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import FRONT_ENDS, MERTConfig
from mert_fairseq.modules import batch, heads
from mert_fairseq.modules.mask_sampler import MaskSampler

RATE, LABEL_RATE, CODEBOOKS, CODES = 24_000, 75.0, 8, 1024
PRECISIONS = {"fp16": torch.half, "bf16": torch.bfloat16}
PEAK_TFLOPS = {"H100": 989.0, "A100": 312.0}  # half precision, dense
PARTS = ("mixing", "conv stack", "masks", "layers", "heads", "CQT", "criterion", "rest")
PHASES = ("forward", "criterion", "backward", "optimizer")
RECIPES = Path(__file__).parent.parent / "config" / "pretrain"


class Case(NamedTuple):
    """One configuration to count."""

    size: str = "95m"  # 330m or tiny
    precision: str = "fp16"  # or bf16
    padded: bool = False
    clips: int = 16
    seconds: float = 5.0
    codebooks: int = CODEBOOKS
    codes: int = CODES  # per codebook; fairseq's 4 special symbols come on top
    front_end: str = "wave"  # or both, spectral

    def __str__(self) -> str:
        front_end = "" if self.front_end == "wave" else f" {self.front_end}"
        return f"{self.size.upper()}{front_end} {self.precision}{' padded' if self.padded else ''}"


def model_config(size: str, front_end: str = "wave") -> Any:
    """The recipe's model options, without layer drop."""
    options = OmegaConf.load(RECIPES / "mert_95m.yaml")["model"]
    if size != "95m":
        options = OmegaConf.merge(options, OmegaConf.load(RECIPES / "size" / f"{size}.yaml")["model"])
    options = OmegaConf.merge(options, {"label_rate": LABEL_RATE, "front_end": front_end})
    options.encoder_layerdrop = 0.0  # every layer counts
    return OmegaConf.merge(OmegaConf.structured(MERTConfig), options)


def count(case: Case) -> LaunchCounter:
    """Run one update on fake tensors and count its operations."""
    counter = LaunchCounter()
    _run(case, counter, counter.saving())
    return counter


def peak_bytes(case: Case) -> int:
    """Peak memory of an update, in bytes: weights, optimizer state, activations and temporary tensors, as counted."""
    memory = PeakMemory()
    with memory:
        _run(case, LaunchCounter(), nullcontext())
    return memory.peak


def _run(case: Case, counter: LaunchCounter, saving: AbstractContextManager[None]) -> None:
    counter.phase = "batch"
    with FakeTensorMode(allow_non_fake_inputs=True), gpu_kernels():
        model = _model(case)
        criterion = MERTCriterion(SimpleNamespace(dictionaries=[_dictionary(case.codes)] * case.codebooks))
        sample = _batch(case, model.mask_sampler)
        utils.apply_to_sample(lambda _: counter.copied_to_device(), sample)
        _prepare_cqts(model, int(case.seconds * RATE))
        optimizer = _optimizer(case, model)
        counter.ignore(model.parameters())
        with _parts_named(model, counter), counter:
            with saving:
                loss = _forward(criterion, model, sample, counter)
            counter.phase = "backward"
            with counter.part("rest"):
                optimizer.backward(loss)
            counter.phase = "optimizer"
            _update(optimizer)


def _prepare_cqts(model: MERTModel, samples: int) -> None:
    """Give the model's CQTs the algorithm for GPUs, and build their plans with real data."""
    owners = (model.encoder_cqt_model.teacher, model.feature_cqt, getattr(model.feature_extractor, "cqt", None))
    for teacher in owners:
        if teacher is not None:
            teacher.backend = "gather"
            with unset_fake_temporarily():
                teacher(torch.zeros(1, samples))


def _model(case: Case) -> MERTModel:
    torch.set_default_dtype(PRECISIONS[case.precision])  # fake parameters cannot be converted later
    try:
        return MERTModel(model_config(case.size, case.front_end), RATE, [case.codes + 4] * case.codebooks).train()
    finally:
        torch.set_default_dtype(torch.float32)


def _forward(criterion: nn.Module, model: MERTModel, sample: dict[str, Any], counter: LaunchCounter) -> Any:
    forward = model.forward

    def model_forward(*args: Any, **kwargs: Any) -> Any:
        counter.phase = "forward"
        with counter.part("rest"):
            output = forward(*args, **kwargs)
        counter.phase = "criterion"
        return output

    with mock.patch.object(model, "forward", model_forward), counter.part("criterion"):
        return criterion(model, sample)[0]


def _optimizer(case: Case, model: MERTModel) -> FP16Optimizer:
    """The recipe's optimizer with float32 master weights, after a first update, which creates its state."""
    fairseq_patches.install()  # as training does
    half = case.precision == "fp16"
    options = {"common": {"fp16": half, "bf16": not half}, "distributed_training": {"distributed_world_size": 1}}
    cfg = OmegaConf.merge(OmegaConf.structured(FairseqConfig), options)
    recipe = OmegaConf.load(RECIPES / "mert_95m.yaml")
    OmegaConf.set_struct(cfg, False)
    cfg.optimizer = {**recipe["optimizer"], "lr": [5e-4]}
    with mock.patch.object(torch.cuda, "current_device", return_value=None):  # the device of a CPU's tensors
        optimizer = FP16Optimizer.build_optimizer(cfg, list(model.parameters()))
    with LaunchCounter():  # answers host reads
        optimizer.backward(sum(parameter.float().sum() for parameter in model.parameters()))
        _update(optimizer)
    return optimizer


def _update(optimizer: FP16Optimizer) -> None:
    """The trainer's steps after the backward pass on one GPU; reads the norm of the gradients once."""

    def read(norm: Any) -> Any:
        return float(norm) if optimizer.scaler is not None else torch.tensor(float(norm))

    optimizer.multiply_grads(1 / 7)
    optimizer.clip_grad_norm(10.0, aggregate_norm_fn=read)
    optimizer.step()
    optimizer.zero_grad()


@contextmanager
def _parts_named(model: MERTModel, counter: LaunchCounter) -> Iterator[None]:
    """Count operations per part of the model, and copies to the device."""
    methods: list[tuple[Any, str, str]] = [
        (model, "mixture", "mixing"),
        (model.feature_extractor, "forward", "conv stack"),
        (model, "_mask", "masks"),
        (model, "_predictions", "heads"),
        (model.encoder_cqt_model, "teacher", "CQT"),
        *((layer, "forward", "layers") for layer in model.encoder.layers),
    ]
    to_device = batch.to_device

    def counted_copy(*args: Any) -> Any:
        counter.copied_to_device()
        return to_device(*args)

    with ExitStack() as patches:
        for owner, name, part in methods:
            patches.enter_context(mock.patch.object(owner, name, counter.named(part, getattr(owner, name))))
        patches.enter_context(mock.patch.object(heads, "joint_product_pays", return_value=True))  # as on a GPU
        patches.enter_context(mock.patch.object(batch, "to_device", counted_copy))
        yield


def _dictionary(codes: int) -> Dictionary:
    dictionary = Dictionary()
    for code in range(codes):
        dictionary.add_symbol(str(code), 1 + (code == 3))
    return dictionary


def _batch(case: Case, mask_sampler: MaskSampler | None) -> dict[str, Any]:
    """A batch as the data set makes it."""
    samples = int(case.seconds * RATE)
    lengths = [samples * 7 // 10 if case.padded and row % 2 else samples for row in range(case.clips)]
    codes = [np.zeros((-(-length * 75 // RATE), case.codebooks), np.int64) for length in lengths]
    clips = [Clip(row, np.zeros(length, np.int16), codes[row], 0.0, row, False) for row, length in enumerate(lengths)]
    collater = Collater(RATE, LABEL_RATE, case.padded, random_crop=True, normalize=False, mask_sampler=mask_sampler)
    return collater(clips)


def summary(counter: LaunchCounter, case: Case) -> dict[str, float]:
    """The figures of the budget."""
    launches = {phase: sum(n for (at, _), n in counter.launches.items() if at == phase) for phase in PHASES}
    flops = sum(counter.flops.values())
    return {
        **launches,
        "forward to backward": launches["forward"] + launches["criterion"] + launches["backward"],
        "copies to the device": counter.copies,
        "host reads": sum(counter.reads.values()),
        "saved GB": sum(counter.saved_bytes.values()) / 1e9,
        "saved GB per clip": sum(counter.saved_bytes.values()) / 1e9 / case.clips,
        "TFLOP": flops / 1e12,
        **{f"floor ms {gpu}": flops / 1e9 / peak for gpu, peak in PEAK_TFLOPS.items()},
    }


def print_tables(cases: list[Case]) -> None:
    """Print two Markdown tables: totals of an update, and shares of the model's parts."""
    counters = {case: count(case) for case in cases}
    print("| | " + " | ".join(map(str, cases)) + " |\n|---|" + "--:|" * len(cases))
    for name in summary(counters[cases[0]], cases[0]):
        print(f"| {name} | " + " | ".join(f"{summary(counters[case], case)[name]:.4g}" for case in cases) + " |")
    print("\n| part: launches forward + backward, saved GB | " + " | ".join(map(str, cases)) + " |")
    print("|---|" + "--:|" * len(cases))
    for part in PARTS:
        cells = []
        for counter in counters.values():
            forward = counter.launches["forward", part] + counter.launches["criterion", part]
            saved = counter.saved_bytes[part] / 1e9
            cells.append(f"{forward} + {counter.launches['backward', part]}, {saved:.2f}")
        print(f"| {part} | " + " | ".join(cells) + " |")


def main() -> None:
    """Count and print the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", nargs="+", default=["95m", "330m"], choices=["tiny", "95m", "330m"])
    options.add_argument("--precisions", nargs="+", default=["fp16", "bf16"], choices=list(PRECISIONS))
    options.add_argument("--front-end", default="wave", choices=FRONT_ENDS)
    options.add_argument("--clips", type=int, default=16)
    options.add_argument("--seconds", type=float, default=5.0)
    chosen = options.parse_args()
    cases = [
        Case(size, precision, padded, chosen.clips, chosen.seconds, front_end=chosen.front_end)
        for size in chosen.sizes
        for precision in chosen.precisions
        for padded in (False, True)
    ]
    print(f"{chosen.clips} clips of {chosen.seconds:g} s, {CODEBOOKS} codebooks of {CODES + 4} classes.\n")
    print_tables(cases)


if __name__ == "__main__":
    main()
