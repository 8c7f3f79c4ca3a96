"""Checks of {split}.tsv and {split}.json, and of files in two splits."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from mert_fairseq.frames import WAV2VEC2_LAYERS, parse_conv_layers, receptive_field
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks.findings import Report, first_few, without_path
from mert_fairseq.preprocessing.converted_files import name_problem

MAKE_AGAIN = "Make the manifest again with preprocess/make_manifest.py."
USUAL_SAMPLE_RATE = 24_000


def find_splits(folder: Path) -> list[Path]:
    """The manifests of a folder: .tsv files whose first line has no tab, unlike rejects.tsv and other tables."""
    return [path for path in sorted(folder.glob("*.tsv")) if path.is_file() and not _is_table(path)]


def _is_table(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\t" in file.readline()
    except OSError:  # reading it as a manifest reports the error
        return False


def check_manifests(folder: Path, report: Report) -> dict[str, Manifest]:
    """Read and check all manifests of a folder; one that cannot be read is a finding and left out."""
    paths = find_splits(folder)
    if not paths:
        report.error(
            "no_manifest",
            folder,
            "no {split}.tsv is here" if folder.is_dir() else "no such folder",
            "Give the folder that preprocess/make_manifest.py or preprocess/prepare_fma.py wrote to.",
        )
    manifests = {}
    for path in paths:
        try:
            manifest = Manifest.read(path)
        except (ValueError, OSError) as error:
            report.error("manifest_unreadable", path, without_path(error, path), MAKE_AGAIN)
            continue
        manifests[path.stem] = manifest
        _check_one(path, manifest, report)
    if {split_of(name, manifest) for name, manifest in manifests.items()} == {"train"}:
        remedy = "Hold tracks out: make the manifest with --valid-fraction above 0."
        report.warn("no_valid", folder / "valid.tsv", "there is no valid.tsv, so training cannot be validated", remedy)
    _check_shared_paths(folder, manifests, report)
    return manifests


def split_of(name: str, manifest: Manifest) -> str:
    """The split of a manifest: its name, or for a shard the split that preprocess/make_shards.py divided."""
    return name.removesuffix(f"_{manifest.settings.get('shard')}_{manifest.settings.get('shards')}")


def without_redundant_shards(manifests: dict[str, Manifest]) -> dict[str, Manifest]:
    """The manifests without shards of splits that are present as a whole; those list the same tracks again."""
    return {
        name: manifest
        for name, manifest in manifests.items()
        if (whole := split_of(name, manifest)) == name or whole not in manifests
    }


def agreed_sample_rate(folder: Path, manifests: dict[str, Manifest], sample_rate: int | None, report: Report) -> int:
    """The sample rate in Hz that the sidecars and the option should agree on; other rates are findings."""
    rates = {split: manifest.sample_rate for split, manifest in manifests.items() if manifest.sample_rate is not None}
    expected = sample_rate or next(iter(rates.values()), USUAL_SAMPLE_RATE)
    for split, rate in rates.items():
        if rate != expected:
            report.error(
                "sidecar_sample_rate",
                folder / f"{split}.json",
                f"{rate} Hz, expected {expected} Hz",
                "Convert all splits to one rate (preprocess/make_manifest.py --convert-to DIR --sample-rate RATE), or "
                "give the right --sample-rate.",
            )
    return expected


def _check_one(path: Path, manifest: Manifest, report: Report) -> None:
    hours = f", {manifest.total_seconds / 3600:.2f} h" if manifest.total_seconds is not None else ""
    report.record(f"{path.stem}: manifest", f"{len(manifest)} tracks{hours}")
    if not len(manifest):
        report.error("manifest_empty", path, "no track", "Make the manifest of a folder that holds audio.")
    elif not manifest.root.is_dir():
        remedy = "Correct line 1 of the manifest, mount the disk, or make the manifest again."
        report.error("root_missing", f"{path}:1", f"no such folder: {manifest.root}", remedy)
    bad_names = [name for name in manifest.paths if name_problem(name)]
    if bad_names:
        found = f"{bad_names[0]!r}: {name_problem(bad_names[0])}"
        remedy = "Rename the file, or convert under a safe name (preprocess/make_manifest.py --convert-to DIR)."
        report.error("unsafe_name", path, found, remedy, len(bad_names))
    repeated = [name for name, times in Counter(manifest.paths).items() if times > 1]
    if repeated:
        report.error("repeated_path", path, f"listed more than once: {first_few(repeated)}", MAKE_AGAIN, len(repeated))
    least = receptive_field(parse_conv_layers(WAV2VEC2_LAYERS))
    short = np.flatnonzero(manifest.samples < least)
    if len(short):
        found = f"{manifest.paths[short[0]]}: {manifest.samples[short[0]]} samples give no encoder frame"
        remedy = "Training leaves them out; make the manifest again with a larger --min-seconds."
        report.warn("short_track", f"{path}:{short[0] + 2}", found, remedy, len(short))
    _check_sidecar(path, manifest, report)


def _check_sidecar(path: Path, manifest: Manifest, report: Report) -> None:
    """Check the values of the sidecar; Manifest.read has compared the number of tracks."""
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        remedy = "Make the manifest again, or, if another tool made it, continue with --sample-rate."
        report.warn("sidecar_missing", sidecar, "nothing states the sample rate and what made the files", remedy)
        return
    stated = json.loads(sidecar.read_text()).get("total_seconds")
    if manifest.sample_rate is None or stated is None:
        report.error("sidecar_incomplete", sidecar, "sample_rate or total_seconds is missing", MAKE_AGAIN)
    elif manifest.total_seconds is not None and abs(stated - manifest.total_seconds) > 0.01:
        found = f"{stated} s in all, but the lengths in {path.name} add up to {manifest.total_seconds} s"
        report.error("sidecar_seconds", sidecar, found, MAKE_AGAIN)


def _check_shared_paths(folder: Path, manifests: dict[str, Manifest], report: Report) -> None:
    """Check for files listed in two splits; shards of one split may share files."""
    seen: dict[str, str] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for split, manifest in manifests.items():
        for name in set(manifest.paths):
            other = seen.setdefault(str(manifest.root / name), split)
            if split_of(other, manifests[other]) != split_of(split, manifest):
                shared.setdefault((other, split), []).append(name)
    for (first, second), names in shared.items():
        remedy = (
            f"Remove it from one of them, with its labels, or make both manifests again; else {second} is worthless."
        )
        found = f"also in {first}.tsv: {first_few(sorted(names))}"
        report.error("shared_path", folder / f"{second}.tsv", found, remedy, len(names))
