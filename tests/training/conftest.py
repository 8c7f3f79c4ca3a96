"""Runs the unmodified ``fairseq-hydra-train`` in a separate process, as users do."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tone_corpus import make_tone_corpus

SMALL = [
    "common.cpu=true",
    "common.fp16=false",
    "common.log_interval=1",
    "dataset.num_workers=0",
    "dataset.max_tokens=96000",
    "task.labels=[rvq_0,rvq_1]",
    "task.max_sample_size=24000",
    "task.min_sample_size=12000",
    "task.label_rate=75",
    "model.conv_feature_layers='[(16,10,5)] + [(16,3,2)] * 4 + [(16,2,2)] * 2'",
    "model.encoder_layers=2",
    "model.encoder_embed_dim=32",
    "model.encoder_ffn_embed_dim=48",
    "model.encoder_attention_heads=4",
    "model.final_dim=16",
    "model.audio_cqt_bins=84",
    "model.inbatch_noise_augment_len_range='[2000,4000]'",
    "model.conv_pos=16",
    "model.conv_pos_groups=4",
    "lr_scheduler.warmup_updates=2",
    "checkpoint.save_interval_updates=4",
    "checkpoint.keep_interval_updates=-1",
    "dataset.validate_interval_updates=1000",
    "dataset.disable_validation=true",
]


def torchrun(ranks: int) -> list[str]:
    """The command that starts a script on several ranks of this machine, at a free port."""
    return [str(Path(sys.executable).parent / "torchrun"), "--standalone", f"--nproc_per_node={ranks}"]


@dataclass
class Run:
    """The results of a training."""

    save_dir: Path
    output: str
    status: int

    @property
    def losses(self) -> dict[int, float]:
        """Loss by update, from the lines that fairseq logs during training."""
        logs = [json.loads(line[line.index("{") :]) for line in self.output.splitlines() if "train_inner" in line]
        return {int(log["num_updates"]): float(log["loss"]) for log in logs}


@pytest.fixture(scope="session")
def corpus_dir(tmp_path_factory) -> Path:
    """Eight training and two validation tracks of 2 s, two codebooks."""
    return make_tone_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def train(repo_root, corpus_dir, tmp_path):
    """Train a tiny MERT for a few updates with a real recipe and overrides."""

    def run(*overrides: str, save_dir: str = "exp", launcher: Sequence[str] = (), config: str = "mert_95m", **options):
        folder = tmp_path / save_dir
        command = [
            *launcher,
            str(Path(sys.executable).parent / "fairseq-hydra-train"),
            f"--config-dir={repo_root}/config/pretrain",
            f"--config-name={config}",
            f"task.data={corpus_dir}",
            f"checkpoint.save_dir={folder}",
            *SMALL,
            *overrides,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        done = subprocess.run(
            command,
            cwd=repo_root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **options,
        )
        return Run(folder, done.stdout, done.returncode)

    return run
