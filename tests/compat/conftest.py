"""Hydra as it was found."""

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture(autouse=True)
def hydra_left_as_it_was():
    """fairseq stores its schema under a recipe's name, where other tests would meet it."""
    stored = ConfigStore.instance().repo
    before = dict(stored)
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()
    stored.clear()
    stored.update(before)
