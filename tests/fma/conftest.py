"""Synthetic FMA trees, built once for all tests of this folder. Tests that damage a file make a copy."""

import shutil
from pathlib import Path

import pytest
from fma_tree import FMATree, build_fma_tree


@pytest.fixture(scope="session")
def fma_tables(tmp_path_factory: pytest.TempPathFactory) -> FMATree:
    """The tables of 200 tracks, without audio."""
    return build_fma_tree(tmp_path_factory.mktemp("tables"), audio_subset=None)


@pytest.fixture(scope="session")
def fma_tree(tmp_path_factory: pytest.TempPathFactory) -> FMATree:
    """40 tracks in small with audio, 16 of them bad; 8 more in medium and 4 in large without."""
    return build_fma_tree(tmp_path_factory.mktemp("tree"), per_genre=5, medium_extra=8, large_extra=4)


@pytest.fixture
def metadata_dir(fma_tables: FMATree, tmp_path: Path) -> Path:
    """A copy of the tables that a test may damage."""
    return Path(shutil.copytree(fma_tables.metadata_dir, tmp_path / "fma_metadata"))
