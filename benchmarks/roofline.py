"""The share of a GPU's peak that an update can reach, from counts: arithmetic, memory traffic and launches.

    python benchmarks/roofline.py [--clips 8 16 32 64 128] [--host-us 10]

No GPU is needed and none is measured. Each launch takes the longest of three times: its FLOPs at peak, the bytes that
it reads and writes at the memory's bandwidth, and the least time of a kernel. The host needs some microseconds per
launch, while the GPU computes; the longer of the two limits the update. This is a ceiling: real matrix products reach
60 to 80 % of the peak, and caches save some of the bytes. model.compile merges launches and is not counted.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
import budget
from launch_counter import Operation

LEAST_KERNEL_SECONDS = 2e-6
HOST_US = 10.0  # per launch; 5 to 16 on today's processors


class Gpu(NamedTuple):
    """Figures of a data sheet: FLOP/s of dense half precision and of float32, bytes/s of the memory."""

    half: float
    single: float
    bandwidth: float


GPUS = {"H100": Gpu(989e12, 67e12, 3.35e12), "A100": Gpu(312e12, 19.5e12, 2.04e12)}


class Ceiling(NamedTuple):
    """Seconds of an update: on the GPU, of its arithmetic alone, and on the host."""

    gpu: float
    arithmetic: float
    host: float

    @property
    def update(self) -> float:
        return max(self.gpu, self.host)

    @property
    def share(self) -> float:
        """Of the peak."""
        return self.arithmetic / self.update


def ceiling(operations: list[Operation], gpu: Gpu, host_us: float = HOST_US) -> Ceiling:
    """The least time of an update's operations on a GPU.

    Args:
        operations: from ``LaunchCounter.operations``.
        gpu: its figures.
        host_us: microseconds that the host needs per launch.
    """
    on_gpu = sum(
        max(each.flops / (gpu.half if each.half else gpu.single), each.bytes / gpu.bandwidth, LEAST_KERNEL_SECONDS)
        for each in operations
    )
    arithmetic = sum(each.flops for each in operations) / gpu.half
    return Ceiling(on_gpu, arithmetic, len(operations) * host_us * 1e-6)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clips", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    options.add_argument("--sizes", nargs="+", default=["95m", "330m"])
    options.add_argument("--host-us", type=float, default=HOST_US, help="of the host per launch, in microseconds")
    chosen = options.parse_args()
    print(
        "| bf16, clips of 5 s | launches | host ms | "
        + " | ".join(f"{gpu}: GPU ms, share of peak" for gpu in GPUS)
        + " |"
    )
    print("|---|--:|--:|" + "--:|" * len(GPUS))
    for size in chosen.sizes:
        for clips in chosen.clips:
            operations = budget.count(budget.Case(size, "bf16", clips=clips)).operations
            found = {name: ceiling(operations, gpu, chosen.host_us) for name, gpu in GPUS.items()}
            cells = [f"{1e3 * each.gpu:.1f}, {each.share:.0%}" for each in found.values()]
            host = 1e3 * len(operations) * chosen.host_us * 1e-6
            print(f"| {size.upper()}, {clips} clips | {len(operations)} | {host:.1f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
