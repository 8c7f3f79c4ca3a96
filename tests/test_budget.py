"""Limits of launches, host reads and saved activations per update, counted without a GPU."""

import pytest


@pytest.fixture
def budget(benchmarks):
    import budget

    return budget


def test_an_update_of_95m_stays_within_its_launches_and_memory(budget):
    case = budget.Case("95m", "fp16")
    counter = budget.count(case)
    found = budget.summary(counter, case)
    assert found["forward to backward"] <= 1_100
    assert counter.launches["forward", "CQT"] <= 60
    assert found["saved GB"] <= 4.4
    assert counter.reads["forward"] == counter.reads["criterion"] == counter.reads["backward"] == 0
    assert counter.reads["optimizer"] <= 2
    assert found["optimizer"] <= 60
    assert found["copies to the device"] == 6  # track, wave, targets, mask and its positions; and the mixture
    # by hand: 2 FLOP per weight and frame, 3 times (forward, two gradients);
    # 12 layers of 12 x 768^2 weights, 16 x 374 frames
    assert sum(counter.flops.values()) > 3 * 2 * 12 * 12 * 768**2 * 16 * 374


def test_330m_saves_at_most_half_a_gigabyte_per_clip(budget):
    case = budget.Case("330m", "bf16", clips=2)
    found = budget.summary(budget.count(case), case)
    assert found["saved GB per clip"] <= 0.5
    assert found["optimizer"] <= 60
    assert found["host reads"] <= 2


def test_padding_adds_no_host_read_and_more_clips_add_no_launch(budget):
    small, large = (budget.Case("95m", "bf16", padded=True, clips=clips) for clips in (2, 64))
    counters = [budget.count(case) for case in (small, large)]
    for counter in counters:
        assert counter.reads["forward"] == 0
        assert counter.copies == 6 + 2  # the padding of samples and of frames
    assert counters[0].launches == counters[1].launches


def test_the_counter_counts_a_linear_layer_and_a_gelu_correctly(budget):
    """All expected figures are computed by hand."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    counter = budget.LaunchCounter()
    with FakeTensorMode():
        linear, x = torch.nn.Linear(8, 16), torch.randn(4, 8)
        counter.ignore(linear.parameters())
        with counter:
            with counter.saving(), counter.part("linear"):
                y = torch.nn.functional.gelu(linear(x))
            assert float(y.sum().detach()) == 1.0  # the counter's answer to every host read
            counter.phase = "backward"
            y.sum().backward()
    assert counter.launches["forward", "linear"] == 2  # addmm, gelu
    assert counter.saved_bytes["linear"] == 4 * (4 * 8 + 4 * 16)  # the input, and the input of GELU
    assert counter.flops == {"forward": 2 * 4 * 8 * 16, "backward": 2 * 4 * 8 * 16}  # no gradient of the input
    assert counter.reads == {"forward": 1}


def test_more_codebooks_and_more_classes_add_no_launch(budget):
    cases = [budget.Case("95m", "bf16", clips=2, **changes) for changes in ({}, {"codebooks": 16}, {"codes": 4096})]
    usual, codebooks, classes = (budget.summary(budget.count(case), case)["forward to backward"] for case in cases)
    assert usual == codebooks == classes


def test_bytes_of_a_launch_are_those_that_it_reads_and_writes(budget):
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    counter = budget.LaunchCounter()
    with FakeTensorMode():
        x, bias = torch.zeros(100, 10), torch.zeros(10)
        with counter:
            y = x + bias  # reads 1,000 and 10 floats, writes 1,000
            y.add_(bias.expand(100, 10))  # reads 1,000 and 10, writes 1,000; an expanded tensor is read once
    assert [each.bytes for each in counter.operations] == [4 * 2010, 4 * 2010]


def test_peak_memory_is_that_of_all_tensors_that_exist_at_once(budget):
    import torch

    memory = budget.PeakMemory()
    with memory:
        x = torch.zeros(1000)
        y = x + 1  # 2 x 4,000 bytes exist
        y.view(10, 100).mul_(2)  # no new memory
        del x
        z = torch.zeros(500)  # 4,000 + 2,000
    assert memory.peak == 8000
    assert memory.now == 6000
    del y, z
    assert memory.now == 0
