"""Ratios of paired benchmarks: where they are recorded, and how a new one is compared with the recorded one."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LARGEST_FALL = 0.2  # of the recorded ratio
LIBRARIES = ("torch", "ve-fairseq", "numpy", "soundfile", "transformers", "encodec", "nnAudio")


@dataclass(frozen=True)
class Ratio:
    """A recorded ratio: how many times faster (or smaller) one side of a pair is than the other.

    Attributes:
        name: of the comparison.
        ratio: the median over pairs.
        least: over the pairs.
        most: over the pairs.
        command: that measures it.
        machine: cores and processor.
        versions: of Python and the libraries.
    """

    name: str
    ratio: float
    least: float
    most: float
    command: str
    machine: str
    versions: Mapping[str, str]


def write_pairs(path: Path | None, pairs: Mapping[str, Sequence[float]]) -> None:
    """What a benchmark writes with ``--json``: the ratio of each pair, by name. Without a path it writes nothing."""
    if path is not None:
        path.write_text(json.dumps({name: list(found) for name, found in pairs.items()}, indent=1) + "\n")


def from_pairs(name: str, pairs: Sequence[float], command: str) -> Ratio:
    """A ratio as measured on this machine."""
    middle, least, most = (round(f(pairs), 3) for f in (statistics.median, min, max))
    return Ratio(name, middle, least, most, command, machine(), versions())


def read(path: Path) -> dict[str, Ratio]:
    """The recorded ratios by name; empty if there is no file yet."""
    recorded = json.loads(path.read_text()) if path.exists() else []
    return {each["name"]: Ratio(**each) for each in recorded}


def write(path: Path, ratios: Mapping[str, Ratio]) -> None:
    """Record ratios, in the order of their names."""
    path.write_text(json.dumps([asdict(ratios[name]) for name in sorted(ratios)], indent=1) + "\n")


def fall(recorded: Ratio, found: Ratio) -> str | None:
    """What to say about a ratio that fell by more than ``LARGEST_FALL``; None if it did not."""
    least = (1 - LARGEST_FALL) * recorded.ratio
    if found.ratio > least:
        return None
    text = (
        f"{recorded.name}: found {found.ratio:g} ({found.least:g} to {found.most:g}), expected more than "
        f"{least:.3g}, as {recorded.ratio:g} is recorded: {1 - found.ratio / recorded.ratio:.0%} less. "
        f"Repeat it on a quiet machine: {recorded.command}"
    )
    if (found.machine, found.versions) != (recorded.machine, recorded.versions):
        text += f". It was recorded on another machine or with other versions: {recorded.machine}."
    return text


def machine() -> str:
    """Cores and processor of this machine, in words."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return f"{os.cpu_count()} cores of {', '.join(sorted(names)) or platform.machine()}"


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
