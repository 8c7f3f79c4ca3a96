"""Draw OUT/curves.png: accuracy of each arm's first label on masked frames of held-out music, over updates.

    python examples/ablation/curves.py exp/ablation

Reads the logs OUT/runs/ARM_SEED/log. Arms with different labels do not compare; the shape of their curves does.
"""

import argparse
import re
from pathlib import Path

from mert_fairseq.reporting.figures import draw_curves
from mert_fairseq.reporting.training_log import Curve, TrainingLog


def read_curves(runs: Path) -> dict[str, Curve]:
    """Validation accuracy in per cent by "ARM, seed SEED", of the runs that have one.

    Raises:
        SystemExit: if there is none.
    """
    found = {}
    for log in sorted(runs.glob("*/log")):
        name = re.fullmatch(r"(\w+)_(\d+)", log.parent.name)
        training = TrainingLog.read(log)
        if name and "accuracy_m_0" in training.keys("valid"):
            curve = training.curve("accuracy_m_0", "valid")
            found[f"{name[1]}, seed {name[2]}"] = Curve(curve.updates, 100 * curve.values)
    if not found:
        raise SystemExit(f"curves.py: {runs} has no run ARM_SEED with a validation in its log; run stage 3 first.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the ablation")
    out = parser.parse_args().out
    title, label = "Masked frames of held-out music, first label", "accuracy, %"
    print(draw_curves(out / "curves.png", read_curves(out / "runs"), title=title, ylabel=label))


if __name__ == "__main__":
    main()
