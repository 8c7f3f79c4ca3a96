"""The task ``mert_pretraining`` on a folder that numbered_corpus wrote."""

from pathlib import Path
from typing import Any

from fairseq import tasks
from numbered_corpus import COLUMNS
from omegaconf import OmegaConf

from mert_fairseq.data.mert_dataset import MERTDataset
from mert_fairseq.tasks.mert_pretraining import MERTPretrainingTask
from mert_fairseq.tasks.pretraining_config import MERTPretrainingConfig


def make_task(folder: Path, **options: Any) -> MERTPretrainingTask:
    settings = {
        "_name": "mert_pretraining", "data": str(folder), "labels": list(COLUMNS), "label_rate": 75.0,
        "sample_rate": 24_000, "max_sample_size": 48_000, "seed": 7, "train_subset": "train", **options,
    }  # fmt: skip
    return tasks.setup_task(OmegaConf.merge(OmegaConf.structured(MERTPretrainingConfig), settings))


def load(folder: Path, split: str = "train", epoch: int = 1, **options: Any) -> MERTDataset:
    task = make_task(folder, **options)
    task.load_dataset(split, epoch=epoch)
    return task.dataset(split)
