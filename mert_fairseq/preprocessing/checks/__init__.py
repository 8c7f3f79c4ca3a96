"""The data check: find faults in a data folder, and their remedies, before GPU hours are spent on it."""

from collections.abc import Callable
from pathlib import Path

from mert_fairseq.preprocessing.checks.audio_checks import check_audio
from mert_fairseq.preprocessing.checks.duplicate_audio import check_duplicates
from mert_fairseq.preprocessing.checks.findings import Finding, Level, Options, Report
from mert_fairseq.preprocessing.checks.label_checks import check_labels
from mert_fairseq.preprocessing.checks.manifest_checks import (
    agreed_sample_rate,
    check_manifests,
    without_redundant_shards,
)

__all__ = ["Finding", "Level", "Options", "Report", "check_data"]


def check_data(
    folder: Path, options: Options | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Check manifests, sidecars, audio, labels, dictionaries and duplicates.

    Args:
        folder: contains {split}.tsv.
        options: what to check, and how thoroughly.
        progress: called with the number of tracks whose audio is done, and of all tracks.

    Returns:
        The report. Faults in the data do not raise.
    """
    options = options or Options()
    report = Report(folder)
    manifests = check_manifests(folder, report)
    sample_rate = agreed_sample_rate(folder, manifests, options.sample_rate, report)
    wholes = without_redundant_shards(manifests)
    total = sum(len(manifest) for manifest in wholes.values())
    done = 0

    def count(tracks: int) -> None:
        nonlocal done
        done += tracks
        progress(done, total)

    broken = {
        split: check_audio(folder / f"{split}.tsv", manifest, sample_rate, options, report, count)
        for split, manifest in wholes.items()
        if manifest.root.is_dir()
    }
    readable = {split: manifests[split] for split in broken}
    check_duplicates(folder, readable, broken, options.workers, report)
    check_labels(folder, manifests, sample_rate, options, report)
    return report
