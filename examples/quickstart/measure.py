"""Load a checkpoint, predict masked frames of held-out tracks, extract features: the numbers behind the report.

    python examples/quickstart/measure.py demo/run/checkpoint_last.pt demo/report

Writes OUT/measurements.json (accuracies and errors beside what guessing gets) and OUT/measurements.npz (one clip's CQT,
its prediction, and each layer's features). The data folder is the one that the checkpoint was trained on.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task
from torch import Tensor
from tqdm import tqdm

from mert_fairseq.models.mert import MERTModel
from mert_fairseq.tasks.cqt_picture import clean_cqt, cqt_and_prediction

CLIP_SECONDS = 10
MASKS_A_CLIP = 4  # a clip is measured under so many random masks
Sample = dict[str, Any]


class Tally:
    """Sums over masked frames of all clips: right answers, how often each class occurs, squared errors of the CQT."""

    def __init__(self, num_classes: list[int]) -> None:
        self.correct = np.zeros(len(num_classes))
        self.copied = np.zeros(len(num_classes))
        self.occurrences = [np.zeros(classes) for classes in num_classes]
        self.frames = 0
        self.cqt_error = 0.0
        self.cqt_sums: np.ndarray | None = None  # (2, bins): of values and of their squares

    def add(self, output: dict[str, Any], targets: Tensor, cqt: Tensor | None) -> None:
        """Add a batch of one clip.

        Args:
            output: what the model's forward returned.
            targets: (Q, L) classes of all frames, L >= F.
            cqt: (F, bins) of the clean wave; None without a CQT head.
        """
        masked = output["mask_indices"][0]
        for q, logits, classes in output["masked"]:
            self.correct[q] += int((logits.argmax(-1) == classes).sum())
            self.occurrences[q] += np.bincount(classes.numpy(), minlength=len(self.occurrences[q]))
        copied = targets[:, nearest_visible(masked)]
        self.copied += (copied == targets[:, : len(masked)][:, masked]).sum(1).numpy()
        self.frames += int(masked.sum())
        if cqt is None:
            return
        self.cqt_error += float(output["cqt_pred_m"]) * int(masked.sum())
        sums = torch.stack([cqt[masked].double().sum(0), cqt[masked].double().square().sum(0)]).numpy()
        self.cqt_sums = sums if self.cqt_sums is None else self.cqt_sums + sums

    def figures(self) -> dict[str, Any]:
        """Means over all masked frames; the constant guesses are the best that any constant does on these frames."""
        figures: dict[str, Any] = {
            "masked_frames": self.frames,
            "accuracy": (self.correct / self.frames).tolist(),
            "most_frequent": [float(counts.max() / self.frames) for counts in self.occurrences],
            "nearest_visible": (self.copied / self.frames).tolist(),
        }
        if self.cqt_sums is not None:
            mean, mean_square = self.cqt_sums / self.frames
            figures["cqt_error"] = self.cqt_error / self.frames
            figures["cqt_error_of_mean"] = float(np.mean(mean_square - mean**2))
        return figures


def nearest_visible(masked: Tensor) -> Tensor:
    """(S,) index of the unmasked frame that is nearest to each masked one; (F,) bool with at least one False."""
    hidden, visible = masked.nonzero(), (~masked).nonzero()
    return visible[(hidden - visible.T).abs().argmin(1), 0]


def clips(task: Any, split: str, limit: int) -> Iterator[Sample]:
    """The split's clips as batches of one, at most ``limit``, spread evenly over the tracks."""
    task.load_dataset(split)
    dataset = task.dataset(split)
    chosen = np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).round().astype(int))
    for index in tqdm(chosen, desc="measuring held-out clips", unit="clip"):
        yield dataset.collater([dataset[int(index)]])


@torch.no_grad()
def measure(model: MERTModel, task: Any, split: str, limit: int) -> tuple[dict[str, Any], Sample]:
    """Figures over the split's masked frames, and the first clip for the pictures."""
    tally = Tally(model.num_classes)
    first: Sample | None = None
    for sample in clips(task, split, limit):
        first = sample if first is None else first
        net_input = sample["net_input"]
        for draw in range(MASKS_A_CLIP):
            seeds = net_input["clip_seeds"] + draw
            output = model(**{**net_input, "clip_seeds": seeds}, target_list=sample["target_list"])
            cqt = clean_cqt(model, net_input["source"], output["mask_indices"].size(1))
            tally.add(output, sample["target_list"][:, 0], cqt)
    if first is None:
        raise SystemExit(f"measure: split {split} has no clip; hold out more music (--valid-fraction).")
    return tally.figures(), first


@torch.no_grad()
def layer_features(model: MERTModel, source: Tensor) -> np.ndarray:
    """(layers, F, D) features of a batch of one clip, layer 1 first, nothing masked."""
    layers = range(1, len(model.encoder.layers) + 1)
    return np.stack([model.extract_features(source, output_layer=layer)[0][0].numpy() for layer in layers])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="folder of the report")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--max-clips", type=int, default=60, help="held-out clips of 10 s to measure (default 60)")
    arguments = parser.parse_args()
    models, config, task = load_model_ensemble_and_task(
        [str(arguments.checkpoint)], arg_overrides={"max_sample_size": CLIP_SECONDS * 24_000}
    )
    model = models[0].eval()
    figures, sample = measure(model, task, arguments.split, arguments.max_clips)
    target, prediction = cqt_and_prediction(model, sample)
    features = layer_features(model, sample["net_input"]["source"])
    figures |= {
        "labels": list(task.cfg.labels),
        "chance": [1 / (classes - task.dictionaries[0].nspecial) for classes in model.num_classes],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds_pictured": sample["net_input"]["source"].size(1) / task.cfg.sample_rate,
        "updates": config.optimization.max_update,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "measurements.json").write_text(json.dumps(figures, indent=2) + "\n")
    cqt_hz = model.encoder_cqt_model.teacher.geometry.frequencies_hz
    np.savez(arguments.out / "measurements.npz", cqt=target, prediction=prediction, features=features, cqt_hz=cqt_hz)
    print(
        f"{figures['masked_frames']} masked frames: accuracy of {figures['labels'][0]} {figures['accuracy'][0]:.3f} "
        f"(most frequent code {figures['most_frequent'][0]:.3f}), CQT error {figures['cqt_error']:.4f} "
        f"(mean {figures['cqt_error_of_mean']:.4f}); features {features.shape[0]} layers x {features.shape[1:]}"
    )


if __name__ == "__main__":
    main()
