"""benchmarks/roofline.py on operations whose times are computed by hand."""

import pytest


@pytest.fixture
def roofline(benchmarks):
    import roofline

    return roofline


def test_a_launch_takes_the_longest_of_arithmetic_memory_and_the_least_kernel(roofline):
    gpu = roofline.Gpu(half=100e12, single=10e12, bandwidth=1e12)
    operation = roofline.Operation
    operations = [
        operation("forward", "layers", flops=10**9, bytes=10**6, half=True),  # 10 us of arithmetic, 1 us of memory
        operation("forward", "layers", flops=10**9, bytes=10**6, half=False),  # 100 us in float32
        operation("forward", "layers", flops=0, bytes=5 * 10**6, half=True),  # 5 us of memory
        operation("forward", "layers", flops=0, bytes=8, half=True),  # 2 us, the least
    ]
    found = roofline.ceiling(operations, gpu, host_us=10)
    assert found.gpu == pytest.approx(117e-6)
    assert found.arithmetic == pytest.approx(20e-6)
    assert found.share == pytest.approx(20 / 117)
    slow_host = roofline.ceiling(operations, gpu, host_us=50)  # 4 x 50 us on the host
    assert slow_host.update == pytest.approx(200e-6)
    assert slow_host.share == pytest.approx(0.1)
