"""Write OUT/report.md: predictions of held-out music, and probes with intervals over pretraining seeds.

    python examples/ablation/tables.py exp/ablation

Reads OUT/predictions.jsonl (predict.py) and OUT/probes (mert-probe). Runs are named ARM_SEED. The score of an arm is
the mean over its seeds with a 95 % interval (Student's t); a single run and the baselines have the interval over the
seeds of the probe, if there are several. Differences to the --main arm have intervals over test clips and seeds
(intervals.py).
"""

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from intervals import difference, read_shares

from mert_fairseq.probing.results import over_seeds

RUN = re.compile(r"^(?P<random>random[2-9]?_)?(?P<arm>\w+)_(?P<seed>\d+)(/|_)checkpoint_last(\.pt)?$")
Score = dict[str, Any]


def arm_of(run: str) -> str | None:
    """The arm of a run named ARM_SEED, as mert-probe or a path names it; None for statistics of the sound."""
    found = RUN.match(run)
    return ("random weights" if found["random"] else found["arm"]) if found else None


def name_of(model: str) -> str:
    """A row's name for a model as mert-probe names it; the arm mfcc is another row than MFCC statistics."""
    return arm_of(model) or f"{model} statistics"


def cell(score: Score | None, scale: float = 1.0, digits: int = 3) -> str:
    """A table's cell: the mean, and half the width of its interval."""
    if score is None:
        return ""
    half = "" if score["low"] is None else f" ± {scale * (score['high'] - score['low']) / 2:.{digits}f}"
    return f"{scale * score['mean']:.{digits}f}{half}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: text on the left, figures on the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def predictions(lines: Sequence[str]) -> str:
    """A table of the first label's accuracy and of the CQT's error, in per cent and as mean squared error."""
    columns = {
        "accuracy": lambda row: row["accuracy"][0],
        "nearest visible frame": lambda row: row["nearest_visible"][0],
        "most frequent code": lambda row: row["most_frequent"][0],
        "CQT error": lambda row: row.get("cqt_error"),
        "of the mean": lambda row: row.get("cqt_error_of_mean"),
    }
    arms: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in map(json.loads, lines):
        run = "/".join(Path(row["checkpoint"]).parts[-2:])
        arms[arm_of(run) or run, row["labels"][0], str(row["mask_length"])].append(row)
    rows = []
    for names, found in arms.items():
        cells = []
        for column, value in columns.items():
            values = [value(row) for row in found if value(row) is not None]
            shown = (1.0, 3) if "CQT" in column or "mean" in column else (100.0, 1)
            cells.append(cell(over_seeds(values), *shown) if values else "")
        rows.append([*names, str(len(found)), *cells])
    return table(["arm", "label", "mask length", "seeds", *columns], rows)


def trainings(runs: Path) -> str:
    """A table of the minutes that each arm's trainings took, as run.sh noted them."""
    minutes: dict[str, list[float]] = defaultdict(list)
    for path in sorted(runs.glob("*/seconds")):
        minutes[path.parent.name.rpartition("_")[0]].append(int(path.read_text(encoding="utf-8")) / 60)
    rows = [[arm, str(len(found)), ", ".join(f"{each:.0f}" for each in found)] for arm, found in minutes.items()]
    return table(["arm", "seeds", "minutes of each training"], rows)


def scores_of(results: Sequence[dict[str, Any]], copy: str | None = None) -> dict[str, dict[str, Score]]:
    """Task and arm or baseline -> the score that the probe selects by, of test clips or of their changed copies; arms
    over their seeds."""
    runs: dict[str, dict[str, list[Score]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        name = name_of(result["model"])
        scores = result["scores"] if copy is None else result["copies"].get(copy)
        if scores:
            runs[result["task"]][name].append(scores[result["monitor"]])
    return {
        task: {
            name: over_seeds([score["mean"] for score in scores]) if len(scores) > 1 else scores[0]
            for name, scores in found.items()
        }
        for task, found in runs.items()
    }


def probes(scores: dict[str, dict[str, Score]]) -> str:
    """A table of all tasks: a row per arm or baseline."""
    names = list(dict.fromkeys(name for found in scores.values() for name in found))
    rows = [[name, *[cell(found.get(name)) for found in scores.values()]] for name in names]
    return table(["", *scores], rows)


def differences(results: Sequence[dict[str, Any]], folder: Path, main: str) -> str:
    """A table of what the main arm scores above the others; bold where the interval leaves out 0.

    Raises:
        SystemExit: if a task's models were tested on different clips.
    """
    runs: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    tested: dict[str, list[str]] = {}
    for result in results:
        name = name_of(result["model"])
        shares, units = read_shares(folder / result["task"] / result["model"])
        if tested.setdefault(result["task"], units) != units:
            raise SystemExit(
                f"{folder / result['task']}: the models were tested on different clips; run stage 4 again."
            )
        runs[result["task"]][name].append(shares)
    names = list(dict.fromkeys(name for found in runs.values() for name in found if name != main))

    def shown(found: dict[str, list[np.ndarray]], name: str) -> str:
        if main not in found or name not in found:
            return ""
        mean, low, high = (100 * value for value in difference(found[main], found[name]).values())
        text = f"{mean:+.1f} [{low:.1f}, {high:.1f}]"
        return f"**{text}**" if low > 0 or high < 0 else text

    rows = [[name, *[shown(found, name) for found in runs.values()]] for name in names]
    return table([f"{main} minus", *runs], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--main", default="rvq_cqt", help="arm that the others are compared with")
    arguments = parser.parse_args()
    out = arguments.out
    parts = ["# Ablation"]
    if list(out.glob("runs/*/seconds")):
        parts += ["## Trainings", trainings(out / "runs")]
    if (out / "predictions.jsonl").is_file():
        lines = (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        parts += ["## Masked frames of held-out music", predictions(lines)]
    if (out / "probes/results.json").is_file():
        results = json.loads((out / "probes/results.json").read_text(encoding="utf-8"))
        parts += ["## Probes", probes(scores_of(results))]
        for copy in dict.fromkeys(name for result in results for name in result["copies"]):
            parts += [f"## Probes of changed copies: {copy}", probes(scores_of(results, copy))]
        parts += ["## Differences", differences(results, out / "probes", arguments.main)]
    if len(parts) == 1:
        raise SystemExit(
            f"tables.py: {out} has no finished run, no predictions.jsonl and no probes/results.json; run stages 3 to 5 "
            f"first."
        )
    (out / "report.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
