"""Fixtures that every test may use."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The checkout, absolute."""
    return ROOT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The reference data beside the checkout; tests that ask for it are marked ``shared``."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("the reference data (../shared) is not here")
    return path


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of benchmarks/ can be imported."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def typed() -> Callable[..., subprocess.CompletedProcess]:
    """``typed(script, *options)`` runs a shell script of the checkout with this Python's commands on the path."""

    def run(script: str, *options: object) -> subprocess.CompletedProcess:
        environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        command = [ROOT / script, *map(str, options)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The matplotlib figures that are saved while a test runs, by file name."""
    from matplotlib.figure import Figure

    figures = {}
    save = Figure.savefig

    def savefig(figure: Figure, path: Path, **options: Any) -> None:
        figures[path.name] = figure
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


@pytest.fixture
def make_with_ffmpeg() -> Callable[..., Path]:
    """``make(source, target, *options)`` runs ffmpeg; the test is skipped where there is none."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed")

    def make(source: Path, target: Path, *options: str) -> Path:
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-i", str(source), *options, str(target)]
        subprocess.run(command, check=True, capture_output=True)
        return target

    return make
