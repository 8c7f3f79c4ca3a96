"""A recipe's own task, model, criterion and trainer on made-up clips, for benchmarks of a training update."""

from pathlib import Path
from typing import Any

import hydra
import numpy as np
import soundfile
import torch
from fairseq import tasks
from fairseq.dataclass.initialize import add_defaults, hydra_init
from fairseq.dataclass.utils import omegaconf_no_object_check
from fairseq.trainer import Trainer
from hydra import initialize_config_dir
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from mert_fairseq.distributed import fairseq_patches
from mert_fairseq.labels import PackedWriter, write_dictionary
from mert_fairseq.manifest import Manifest

RECIPES = Path(__file__).resolve().parents[1] / "config" / "pretrain"
RATE, LABEL_RATE = 24_000, 75
PRECISIONS = {"float32": (False, False), "fp16": (True, False), "bf16": (False, True)}  # common.fp16, common.bf16


def write_corpus(folder: Path, clips: int, seconds: float, codebooks: int = 8, codes: int = 1024) -> Path:
    """Write WAV files of noise and a chord, their manifest, random codes and dictionaries; returns the folder."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    columns = [f"rvq_{book}" for book in range(codebooks)]
    samples = round(seconds * RATE)
    clock = np.arange(samples) / RATE
    names = [f"{clip}.wav" for clip in range(clips)]
    for name in names:
        notes_hz = 110 * 2 ** (rng.integers(0, 36, (3, 1)) / 12)
        wave = 0.2 * np.sin(2 * np.pi * notes_hz * clock).sum(0) + 0.05 * rng.standard_normal(samples)
        soundfile.write(folder / "audio" / name, wave, RATE, subtype="PCM_16")
    Manifest(folder / "audio", names, np.full(clips, samples), RATE).write(folder / "train.tsv")
    with PackedWriter(folder / "train.rvq", columns) as labels:
        for _ in range(clips):
            labels.append(rng.integers(0, codes, (round(seconds * LABEL_RATE), codebooks)))
    for column in columns:
        write_dictionary(folder / f"dict.{column}.txt", [1] * codes)
    return folder


class RecipeTraining:
    """One rank of a recipe's training, without its command line.

    Args:
        size: 95m, 330m or tiny.
        corpus: a folder of ``write_corpus``.
        precision: float32, fp16 or bf16.
        device: cuda or cpu.
        overrides: of the recipe, as on the command line.
    """

    def __init__(
        self, size: str, corpus: Path, precision: str = "float32", device: str = "cpu", overrides: tuple[str, ...] = ()
    ) -> None:
        fairseq_patches.install()
        fp16, bf16 = PRECISIONS[precision]
        options = [
            f"task.data={corpus}", "task.labels=rvq", "dataset.num_workers=0", f"checkpoint.save_dir={corpus}/run",
            f"common.fp16={fp16}", f"common.bf16={bf16}", f"common.cpu={device == 'cpu'}", "common.log_interval=20",
            "distributed_training.distributed_world_size=1", *overrides,
        ]  # fmt: skip
        self.cfg = _config("tiny" if size == "tiny" else f"mert_{size}", options)
        torch.manual_seed(self.cfg.common.seed)
        self.task = tasks.setup_task(self.cfg.task)
        model = self.task.build_model(self.cfg.model)
        self.task.load_dataset("train")
        self.data = self.task.dataset("train")
        self.trainer = Trainer(self.cfg, self.task, model, self.task.build_criterion(self.cfg.criterion))
        self.trainer.begin_epoch(1)

    def batches(self, clips: int, count: int) -> list[dict[str, Any]]:
        """``count`` batches of ``clips`` clips, pinned if there is a GPU; a smaller corpus repeats."""
        numbers = [[index % len(self.data) for index in range(n * clips, (n + 1) * clips)] for n in range(count)]
        pin = self.trainer.cuda
        return list(DataLoader(self.data, batch_sampler=numbers, collate_fn=self.data.collater, pin_memory=pin))

    def update(self, batch: dict[str, Any]) -> None:
        """One update: the trainer's step, which copies the batch to the device and updates the weights."""
        self.trainer.train_step([batch], raise_oom=True)


def _config(recipe: str, overrides: list[str]) -> Any:
    """The configuration that ``fairseq-hydra-train`` makes of a recipe."""
    hydra_init(recipe)  # fairseq's own options, under the recipe's name
    with initialize_config_dir(str(RECIPES), version_base="1.1"):
        cfg = hydra.compose(recipe, overrides)
    with omegaconf_no_object_check():
        add_defaults(cfg)
        return OmegaConf.create(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True))
