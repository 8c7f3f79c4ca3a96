"""The command mert-check-data."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mert_fairseq.arguments import Help, default_workers, positive_float, positive_int
from mert_fairseq.jobs.command import print_result
from mert_fairseq.preprocessing.checks import check_data
from mert_fairseq.preprocessing.checks.findings import Level, Options, Report

DESCRIPTION = """Check a data folder before training: manifests, sidecars, audio, label counts and lengths, code
ranges, dictionaries, duplicates between splits.

    mert-check-data data/mine
    mert-check-data data/mine --labels rvq_0 rvq_1 --decode all --json > findings.json

Exit status: 0 no error (warnings are possible), 1 an error, 2 wrong options."""


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are the library's."""
    options = argparse.ArgumentParser(prog="mert-check-data", description=DESCRIPTION, formatter_class=Help)
    options.add_argument("folder", type=Path, help="contains {split}.tsv")
    options.add_argument("--label-dir", type=Path, help="contains labels and dictionaries, if not FOLDER")
    options.add_argument("--labels", nargs="+", metavar="NAME", help="labels that must exist; default: check all found")
    options.add_argument(
        "--sample-rate", type=positive_int, metavar="HZ", help="of training; default: the sidecars', or 24000"
    )
    options.add_argument(
        "--label-rate",
        type=positive_float,
        metavar="HZ",
        help="of labels; default: the label files' or sidecars', or 75",
    )
    options.add_argument(
        "--decode",
        type=_number_or_all,
        default=100,
        metavar="N|all",
        help="tracks per split to decode and whose codes to read in full (default 100, drawn by --seed)",
    )
    options.add_argument("--seed", type=int, default=0, help="of the draw")
    options.add_argument(
        "--workers", type=positive_int, default=default_workers(), help="processes (default: the available cores)"
    )
    options.add_argument("--json", action="store_true", help="print the report as one JSON object")
    return options


def _number_or_all(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'all'")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, check, print; returns the exit status."""
    chosen = parser().parse_args(arguments)
    options = Options(
        label_dir=chosen.label_dir,
        labels=tuple(chosen.labels) if chosen.labels else None,
        sample_rate=chosen.sample_rate,
        label_rate_hz=chosen.label_rate,
        decode=chosen.decode,
        seed=chosen.seed,
        workers=chosen.workers,
    )
    with tqdm(desc="reading audio", unit=" tracks", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = check_data(chosen.folder, options, show)
    text = json.dumps(report.as_dict()) if chosen.json else as_text(report)
    printable = text.encode(errors="backslashreplace").decode()  # names may hold bytes that are not UTF-8
    return print_result(printable) or (0 if report.passed else 1)


def as_text(report: Report) -> str:
    """The report as text: what was checked, then each finding with its remedy, then the counts."""
    width = max((len(what) for what, _ in report.looked_at), default=0)
    lines = [str(report.folder), *(f"  {what:<{width}}  {how_much}" for what, how_much in report.looked_at), ""]
    for finding in report.findings:
        times = f"  ({finding.count} times)" if finding.count > 1 else ""
        lines += [
            f"{finding.level.upper():<7}  {finding.check}{times}",
            f"         at     {finding.where}",
            f"         found  {finding.found}",
            f"         do     {finding.remedy}",
            "",
        ]
    errors, warnings = report.number_of(Level.ERROR), report.number_of(Level.WARNING)
    lines.append(f"{'OK' if report.passed else 'FAILED'}: {errors} errors, {warnings} warnings")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
