"""Runs the paired benchmarks again and compares their ratios with benchmarks/ratios.json; ``make bench-check``.

    python benchmarks/check.py                    # all; 10 minutes on 2 cores
    python benchmarks/check.py --only cqt loading
    python benchmarks/check.py --record           # writes ratios.json instead
    python benchmarks/check.py --list             # prints it as a table

A ratio compares two ways of doing the same work, in turn on the same machine, so that it depends less on the machine
than a time does. It still depends on the processor: record the ratios of your own machine before you change code. Run
the check while nothing else runs. Exit status: 0 no ratio fell by 20 %, 1 one did, or a benchmark failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import ratios

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "benchmarks" / "ratios.json"
COMMANDS = {
    "loading": "benchmarks/loading.py crops dataset --runs 3",
    "preprocessing": "benchmarks/preprocessing.py speed --runs 3",
    "label_extraction": "benchmarks/label_extraction.py encodec --runs 3 --clips 10",
    "cqt": "benchmarks/cqt.py --runs 3",
    "logits": "benchmarks/logits.py --runs 3",
    "extraction": "benchmarks/extraction.py --cases clips --clips 2 --seconds 20 --runs 3",
    "update": "benchmarks/update.py --sides encoder adam --rounds 30",
    "update_spectral": "benchmarks/update.py --case tiny_spectral --sides encoder --rounds 30",
    "update_95m": "benchmarks/update.py --case 95m --clips 2 --sides encoder adam --rounds 3",
    "probe_search": "benchmarks/probe_search.py --groups 4 --plain-runs 4",
}


def main() -> int:
    """Measure and compare, or record; returns the exit status."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), help="default: all")
    options.add_argument("--record", action="store_true", help="write the ratios found, and compare nothing")
    options.add_argument("--list", action="store_true", help="print the recorded ratios, and run nothing")
    options.add_argument("--tables", action="store_true", help="also print the tables of the benchmarks")
    chosen = options.parse_args()
    if chosen.list:
        print(table(ratios.read(RECORDED)))
        return 0
    if os.getloadavg()[0] > 0.5:
        print(f"load average {os.getloadavg()[0]:.1f}: other work runs here, and ratios may be lower", file=sys.stderr)
    recorded, problems = ratios.read(RECORDED), []
    for benchmark in chosen.only:
        print(f"{benchmark}: python {COMMANDS[benchmark]}", flush=True)
        try:
            measured = measure(COMMANDS[benchmark], chosen.tables)
        except RuntimeError as error:
            problems.append(f"{benchmark}: {error}")
            continue
        for found in measured:
            print(f"    {found.name}: {found.ratio:g} ({found.least:g} to {found.most:g})", flush=True)
        if chosen.record:
            recorded |= {found.name: found for found in measured}
            ratios.write(RECORDED, recorded)
        else:
            problems += compare(recorded, measured, f"python {COMMANDS[benchmark]}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


def table(recorded: dict[str, ratios.Ratio]) -> str:
    """The recorded ratios as Markdown."""
    rows = ["| comparison | times, median (range) | command |", "|---|--:|---|"]
    for each in recorded.values():
        rows.append(f"| {each.name} | {each.ratio:.3g} ({each.least:.3g} to {each.most:.3g}) | `{each.command}` |")
    return "\n".join(rows)


def measure(command: str, show: bool) -> list[ratios.Ratio]:
    """Run a benchmark, print its tables if ``show``, and read its ratios.

    Raises:
        RuntimeError: if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "pairs.json"
        words = [sys.executable, "-W", "ignore", *command.split(), "--json", str(out)]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()[-800:]}")
        if show:
            print(done.stdout)
        pairs = json.loads(out.read_text())
    return [ratios.from_pairs(name, found, f"python {command}") for name, found in pairs.items()]


def compare(recorded: dict[str, ratios.Ratio], measured: list[ratios.Ratio], command: str) -> list[str]:
    """What is wrong with the ratios of one benchmark: fallen, not recorded yet, or no longer measured."""
    found = {each.name: each for each in measured}
    problems = [f"{name}: not recorded yet. Record it with --record." for name in found if name not in recorded]
    for name, before in recorded.items():
        if name in found:
            problems += filter(None, [ratios.fall(before, found[name])])
        elif before.command == command:
            problems.append(f"{name}: recorded, but {command} does not measure it any more.")
    return problems


if __name__ == "__main__":
    sys.exit(main())
