"""Restores Hydra's config store after each test."""

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture(autouse=True)
def restored_hydra():
    """fairseq registers its schema under a recipe's name, which would affect other tests."""
    stored = ConfigStore.instance().repo
    before = dict(stored)
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()
    stored.clear()
    stored.update(before)
