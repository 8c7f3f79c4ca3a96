"""Trees of the data sets, built once each."""

from collections.abc import Callable
from pathlib import Path

import pytest
from probe_trees import BUILDERS, build_rendered


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a data set by its name; treat it as read-only."""
    root = tmp_path_factory.mktemp("data")

    def build(folder: str) -> Path:
        if not (root / folder).exists():
            if folder in BUILDERS:
                BUILDERS[folder](root / folder)
            else:
                build_rendered(root)
        return root / folder

    return build
