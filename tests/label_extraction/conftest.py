"""Run the label commands in this process; EnCodec weights that all tests share."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_encodec import random_encodec


@pytest.fixture(scope="session")
def run_command(repo_root: Path) -> Callable[..., int]:
    """Run ``preprocess/NAME.py`` with arguments; returns the exit status."""

    def run(name: str, *words: object) -> int:
        spec = importlib.util.spec_from_file_location(name, repo_root / f"preprocess/{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.main([str(word) for word in words])

    return run


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of EnCodec's 24 kHz model, as torch.save writes them."""
    path = tmp_path_factory.mktemp("weights") / "encodec.th"
    torch.save(random_encodec().state_dict(), path)
    return path
