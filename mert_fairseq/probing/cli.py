"""The command mert-probe: run tasks, check data, list tasks, write split lists and reports."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mert_fairseq.arguments import Help, positive_float, positive_int
from mert_fairseq.jobs.command import quiet_libraries

EXAMPLE = """Probe the frozen features of a model: layer and learning rate are searched, five seeds, one report.

    mert-probe gtzan-genre --model exp/mert_95m/checkpoint_last.pt mfcc --data data/gtzan --out exp/probes
    mert-probe all --model exp/mert_95m/checkpoint_last.pt --data data --out exp/probes --protocol marble
    mert-probe check gtzan-genre --data data/gtzan
    mert-probe list gtzan-genre

MODEL is a checkpoint, a Hugging Face folder, mfcc, logmel, chroma, cqt, random:MODEL (random2: and so on have other
weights) or raw-conv:MODEL.
With "all", --data holds a folder per data set, named as mert-probe list says; missing ones are reported and skipped.
A run that was stopped continues when the same command is given again."""


def parser() -> argparse.ArgumentParser:
    """The options of all verbs."""
    options = argparse.ArgumentParser(prog="mert-probe", description=EXAMPLE, formatter_class=Help)
    options.add_argument(
        "task", nargs="+", metavar="TASK", help="a task, all; or: check TASK, splits TASK, list [TASK], report"
    )
    options.add_argument("--data", type=Path, help="the data set's folder; with all, the folder of all data sets")
    options.add_argument("--out", type=Path, help="folder of features, results and reports")
    options.add_argument("--model", nargs="+", default=[], help="models and baselines to compare")
    options.add_argument(
        "--protocol",
        default="default",
        choices=("default", "marble", "quick"),
        help="marble: clips standardised, beats monitored by the network; default: as the model was trained, and "
        "beats monitored by picked peaks; quick: a linear head, two learning rates, one seed, some clips of each "
        "split and their first 15 s",
    )
    options.add_argument(
        "--head", choices=("mlp", "linear"), help="one hidden layer, or none (default: mlp; quick: linear)"
    )
    options.add_argument("--layers", nargs="+", help="to search: numbers and all, for the weighted sum (default: each)")
    options.add_argument(
        "--learning-rates", nargs="+", type=positive_float, help="to search (default: six of MARBLE; quick: two)"
    )
    options.add_argument("--seeds", type=positive_int, help="number of seeds (default: 5; quick: 1)")
    options.add_argument(
        "--precision", default="float32", choices=("float32", "bfloat16"), help="of the heads' matrix products"
    )
    options.add_argument(
        "--beat-labels",
        default="v1",
        choices=("v1", "v2", "v1_softmax", "none"),
        help="widening of beat labels in training, by version of MARBLE",
    )
    options.add_argument("--max-epochs", type=positive_int, help="at most (default: the task's)")
    options.add_argument(
        "--splits", type=Path, help="folder of train.txt, valid.txt and test.txt, in place of the task's"
    )
    options.add_argument("--clips", type=positive_int, help="use at most so many clips of each split, chosen by SHA-1")
    options.add_argument("--seconds", type=positive_float, help="use only the first seconds of each clip")
    options.add_argument("--device", help="such as cpu or cuda (default: a GPU if there is one)")
    options.add_argument("--decode", action="store_true", help="check: decode all audio, not only the headers")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--quiet", action="store_true", help="no progress bars")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status: 0, 1 for wrong data or models, 2 for wrong options."""
    quiet_libraries()
    chosen = parser().parse_args(arguments)
    from mert_fairseq.probing import verbs  # takes seconds to import

    verb, rest = chosen.task[0], chosen.task[1:]
    try:
        if verb == "list":
            return verbs.list_tasks(rest, chosen.json)
        if verb in ("check", "splits"):
            if not rest or chosen.data is None:
                parser().error(f"{verb} needs a task and --data")
            return verbs.check(rest, chosen) if verb == "check" else verbs.splits(rest[0], chosen)
        if verb == "report":
            return verbs.report(chosen)
        return verbs.run([verb, *rest], chosen)
    except (ValueError, KeyError, OSError, ImportError) as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        print(json.dumps({"error": str(text)}) if chosen.json else f"mert-probe: {text}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
