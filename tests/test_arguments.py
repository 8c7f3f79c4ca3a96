"""Numbers that options take, and how many processes are started."""

import argparse
import os

import pytest

from mert_fairseq.arguments import default_workers, positive_float, positive_int


def test_numbers_above_0_are_read():
    assert positive_int("12") == 12
    assert positive_float("0.5") == 0.5


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", ""])
def test_numbers_that_are_not_positive_integers_are_errors(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"found {text}, expected a whole number above 0"):
        positive_int(text)


@pytest.mark.parametrize("text", ["0", "-1", "x", "nan", "inf"])
def test_numbers_that_are_not_positive_are_errors(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"found {text}, expected a number above 0"):
        positive_float(text)


def test_workers_are_the_cores_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7}, raising=False)
    assert default_workers() == 3
