"""A training update on a CPU against the bare encoder, fairseq's HuBERT and fairseq's adam, in turn on the same clips.

    OMP_NUM_THREADS=2 python -W ignore benchmarks/update.py [--case tiny] [--clips 4] [--rounds 20] [--json FILE]

An update is what a rank of ``fairseq-hydra-train`` does with clips in memory: it makes the batch, and runs the
trainer's step with fused_adamw. The bare encoder is the forward and backward pass of front end and Transformer alone.
HuBERT has the same sizes and codebooks, and no CQT. Layer drop is off, so that every update runs all layers.
``--clock cpu`` with one thread gives usable ratios on a machine that does other work too.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from fairseq.criterions.hubert_criterion import HubertCriterion
from fairseq.models.hubert.hubert import HubertConfig, HubertModel
from fairseq.trainer import Trainer
from omegaconf import OmegaConf

sys.path.insert(0, str(Path(__file__).parent))
import ratios
from recipe_training import RecipeTraining, write_corpus

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.modules.waveform import float_wave

CASES = {  # recipe, seconds per clip, options
    "tiny": ("tiny", 2.5, ()),
    "tiny_spectral": ("tiny", 2.5, ("model.front_end=spectral", "criterion.cqt_weight=4")),
    "tiny_both": ("tiny", 2.5, ("model.front_end=both",)),
    "95m": ("95m", 5.0, ("model.encoder_layerdrop=0",)),
}
SIDES = {"encoder": "the bare encoder", "hubert": "fairseq's HuBERT", "adam": "the update with fairseq's adam"}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
WARM_UPS = 1  # rounds without a measurement: plans, optimizer state, caches


class Sides:
    """What is compared; each method runs one side once on the same clips."""

    def __init__(self, case: str, clips: int, corpus: Path) -> None:
        recipe, _, options = CASES[case]
        self.fused = RecipeTraining(recipe, corpus, overrides=options)
        self.with_adam = RecipeTraining(recipe, corpus, overrides=("optimizer._name=adam", *options))
        self.clips = [self.fused.data[clip] for clip in range(clips)]
        self.wave = float_wave(self.fused.data.collater(self.clips)["net_input"]["source"])
        self.hubert_trainer = hubert_trainer(self.fused)

    def update(self) -> None:
        """Make the batch and train on it."""
        self.fused.trainer.train_step([self.fused.data.collater(self.clips)])

    def adam(self) -> None:
        """The same with fairseq's adam."""
        self.with_adam.trainer.train_step([self.with_adam.data.collater(self.clips)])

    def encoder(self) -> None:
        """Forward and backward pass of front end and Transformer."""
        bare_encoder(self.fused.trainer.model, self.wave)

    def hubert(self) -> None:
        """Make the batch and train fairseq's HuBERT on it."""
        batch = self.fused.data.collater(self.clips)
        source = float_wave(batch["net_input"]["source"])
        batch["net_input"] = {"source": source, "padding_mask": torch.zeros_like(source, dtype=torch.bool)}
        self.hubert_trainer.train_step([{**batch, "target_list": list(batch["target_list"])}])


def hubert_trainer(recipe: RecipeTraining) -> Trainer:
    """A trainer of fairseq's HuBERT with the recipe's sizes, codebooks and optimizer."""
    known = {field.name for field in fields(HubertConfig)}
    options = {name: value for name, value in recipe.cfg.model.items() if name in known}
    cfg = OmegaConf.merge(OmegaConf.structured(HubertConfig), options)
    model = HubertModel(cfg, recipe.cfg.task, recipe.task.dictionaries)
    return Trainer(recipe.cfg, recipe.task, model, HubertCriterion(recipe.task, 1.0, 0.0, loss_weights=[10.0]))


def bare_encoder(model: MERTModel, wave: torch.Tensor) -> None:
    """Forward and backward pass of front end, projection and Transformer on (B, T) float32, without a training loss."""
    features = model.feature_extractor(wave).transpose(1, 2)
    if model.feature_cqt is not None:
        features = torch.cat([features, model.feature_cqt(wave)[:, : features.size(1)]], dim=-1)
    features = model.layer_norm(features)
    x, _ = model.encoder(features if model.post_extract_proj is None else model.post_extract_proj(features))
    x.square().mean().backward()
    model.zero_grad()


def measure(sides: Sides, names: list[str], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of each side in each round; every other round runs them in the reverse order."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(WARM_UPS + rounds):
        for name in names if turn % 2 else names[::-1]:
            run: Callable[[], Any] = getattr(sides, name)
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: found[WARM_UPS:] for name, found in seconds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, default="tiny")
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="compare the update with")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: seconds of this process on all its cores")
    parser.add_argument("--json", type=Path, help="write the ratio of each round to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = Sides(args.case, args.clips, write_corpus(Path(folder), args.clips, CASES[args.case][1]))
        seconds = measure(sides, ["update", *args.sides], args.rounds, CLOCKS[args.clock])
    versions = ", ".join(f"{name} {ratios.versions()[name]}" for name in ("python", "torch"))
    conditions = f"{args.case}, {args.clips} clips, {torch.get_num_threads()} threads, {args.rounds} rounds"
    print(f"{conditions}; medians of {args.clock} time")
    print(f"{ratios.machine()}, {versions}\n\n| | ms | update / this |\n|---|--:|--:|")
    pairs = {}
    for name, found in seconds.items():
        quotients = [update / other for other, update in zip(found, seconds["update"], strict=True)]
        middle, least, most = (f(quotients) for f in (statistics.median, min, max))
        label = SIDES.get(name, "update")
        print(f"| {label} | {1e3 * statistics.median(found):.1f} | {middle:.3f} ({least:.3f} to {most:.3f}) |")
        if name != "update":
            pairs[f"update of {args.case} against {label}"] = [1 / quotient for quotient in quotients]
    ratios.write_pairs(args.json, pairs)


if __name__ == "__main__":
    main()
