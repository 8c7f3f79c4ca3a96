"""Genre trainings with fairseq-hydra-train, as users run them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fma_tree import build_fma_tree


@dataclass
class Run:
    """The output of a training."""

    save_dir: Path
    output: str
    status: int

    def logged(self, kind: str) -> list[dict[str, str]]:
        """The JSON lines of a kind: train_inner, train, valid."""
        lines = [line for line in self.output.splitlines() if f"[{kind}]" in line and "{" in line]
        return [json.loads(line[line.index("{") :]) for line in lines]

    @property
    def history(self) -> dict[str, list[float]]:
        """Arrays by epoch."""
        return json.loads((self.save_dir / "history.json").read_text())


@pytest.fixture(scope="session")
def tiny_fma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of 80 tracks in small and 80 more in medium."""
    return build_fma_tree(tmp_path_factory.mktemp("tiny"), audio_subset=None, bad=False).metadata_dir


@pytest.fixture(scope="session")
def train_genre(repo_root: Path):
    """Train config/genre/fma_features.yaml; further arguments override."""

    def run(data: Path, save_dir: Path, *overrides: str, launcher: Sequence[str] = ()) -> Run:
        command = [
            *launcher,
            str(Path(sys.executable).parent / "fairseq-hydra-train"),
            f"--config-dir={repo_root}/config/genre",
            "--config-name=fma_features",
            f"task.data={data}",
            f"checkpoint.save_dir={save_dir}",
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
            check=False,
        )
        return Run(save_dir, done.stdout, done.returncode)

    return run
