"""Predict masked frames of held-out music with several checkpoints, beside what copying and guessing get.

    python examples/ablation/predict.py exp/ablation/rvq_cqt_1/checkpoint_last.pt --mask-length 10 --paths recordings/

Prints one JSON object per checkpoint: accuracy of each label, of the most frequent code and of copying the nearest
visible frame, and the squared error of the CQT beside that of its mean. Checkpoints of one seed see the same clips and
masks. The data folder is the one that the checkpoint was trained on.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fairseq.checkpoint_utils import load_model_ensemble_and_task

from mert_fairseq.jobs.command import quiet_libraries
from mert_fairseq.manifest import Manifest
from mert_fairseq.tasks.cqt_picture import clean_cqt

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "quickstart"))
from measure import Tally

CLIP_SECONDS = 8


def clips(task: Any, split: str, paths: str, rounds: int) -> Iterator[Any]:
    """Yield batches of one clip: ``rounds`` crops, at fixed places, of each track whose path starts with ``paths``.

    Raises:
        SystemExit: if no track does.
    """
    manifest = Manifest.read(Path(task.cfg.data) / f"{split}.tsv")
    task.load_dataset(split)
    dataset = task.dataset(split)
    found = False
    for epoch in range(1, rounds + 1):
        dataset.epoch = epoch  # other crops and masks
        for index in range(len(dataset)):
            clip = dataset[index]
            if manifest.paths[clip.track].startswith(paths):
                found = True
                yield dataset.collater([clip])
    if not found:
        raise SystemExit(f"predict.py: no track of {split}.tsv starts with {paths!r}; see its first column.")


@torch.no_grad()
def predict(checkpoint: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Figures of one checkpoint over the masked frames of all clips."""
    overrides = {"max_sample_size": CLIP_SECONDS * 24_000, "mask_length": arguments.mask_length}
    models, config, task = load_model_ensemble_and_task([str(checkpoint)], arg_overrides=overrides)
    model = models[0].eval()
    tally = Tally(model.num_classes)
    for sample in clips(task, arguments.split, arguments.paths, arguments.rounds):
        net_input = sample["net_input"]
        output = model(**net_input, target_list=sample["target_list"])
        frames = output["mask_indices"].size(1)
        cqt = clean_cqt(model, net_input["source"], frames) if "cqt_pred_m" in output else None
        tally.add(output, sample["target_list"][:, 0], cqt)
    named = {"checkpoint": str(checkpoint), "mask_length": arguments.mask_length, "paths": arguments.paths}
    return named | {"labels": list(task.label_names), "updates": config.optimization.max_update} | tally.figures()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--mask-length", type=int, default=10, help="frames (default 10)")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--paths", default="", help="beginning of the paths of the tracks to take (default: all)")
    parser.add_argument("--rounds", type=int, default=8, help="crops of 8 s of each track (default 8)")
    arguments = parser.parse_args()
    quiet_libraries()
    for checkpoint in arguments.checkpoints:
        print(json.dumps(predict(checkpoint, arguments)), flush=True)


if __name__ == "__main__":
    main()
