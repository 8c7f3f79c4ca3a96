"""Turn the quickstart's training logs and measurements into an HTML page; fail if the model learnt nothing.

    python examples/quickstart/report.py demo/report --logs demo/train_1.log demo/train_2.log

Exit status 0 if the model beats guessing on held-out music and the second log continues the first, else 1 (the page is
written all the same, and says what failed).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.reporting.figures import draw_bars, draw_curves, draw_spectrograms, log_magnitudes, note_ticks
from mert_fairseq.reporting.page import Page
from mert_fairseq.reporting.training_log import Curve, TrainingLog

CLEARLY_ABOVE = 1.5  # times the most frequent code's share: more than the luck of the masks
Measurements = dict[str, Any]


def faults(figures: Measurements, first: TrainingLog, resumed: TrainingLog | None) -> list[str]:
    """What is wrong with a training, in sentences; nothing if it learnt and resumed as it should."""
    found = []
    label, accuracy, guess = figures["labels"][0], figures["accuracy"][0], figures["most_frequent"][0]
    if not accuracy > CLEARLY_ABOVE * guess:
        found.append(
            f"Masked accuracy of {label} on held-out music is {accuracy:.3f}; always guessing the most frequent code "
            f"gets {guess:.3f}, and the model should get over {CLEARLY_ABOVE} times that. Train longer (--updates)."
        )
    if not figures["cqt_error"] < figures["cqt_error_of_mean"]:
        found.append(
            f"The CQT error on held-out music is {figures['cqt_error']:.4f}; predicting the mean spectrum gets "
            f"{figures['cqt_error_of_mean']:.4f}, and the model should get less. Train longer (--updates)."
        )
    if resumed is not None:
        stopped, went_on = first.last_update, int(resumed.curve("loss").updates[0])
        if went_on <= stopped:
            found.append(
                f"The second training began again at update {went_on}, though the first had reached {stopped}: "
                f"it did not find the checkpoint."
            )
    return found


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def results_table(page: Page, figures: Measurements) -> None:
    """Accuracy of each codebook beside what guessing gets."""
    rows = [
        [label, *(percent(figures[key][q]) for key in ("accuracy", "most_frequent", "nearest_visible", "chance"))]
        for q, label in enumerate(figures["labels"])
    ]
    page.table(["codebook", "model", "most frequent code", "copy of nearest visible frame", "chance"], rows)
    page.paragraph(
        "Held-out music, masked frames only. The most frequent code is that of these very frames: no constant guess "
        "does better. Copying the nearest visible frame needs the codes of the visible frames, which the model has to "
        "find in the sound first; it shows how many codes last longer than a masked span."
    )
    rows = [["model", f"{figures['cqt_error']:.4f}"], ["mean spectrum", f"{figures['cqt_error_of_mean']:.4f}"]]
    page.table(["CQT, mean squared error", ""], rows)


def probe_table(page: Page, figures: Measurements) -> None:
    """Accuracy of the linear probe on the model's features, and on features that need no training."""
    rows = {**figures["accuracy"], "most frequent class": figures["most_frequent"]}
    page.table(["features", *figures["labels"]], [[name, *map(percent, shares)] for name, shares in rows.items()])
    page.paragraph(
        f"A linear classifier reads one frame and tells the root of the sounding chord, or the tonic of the key: 12 "
        f"classes, known from the synthesiser. It learns from {figures['learnt_from']:,} frames of the training discs "
        f"and is tested on {figures['tested']:,} frames of the held-out discs. All features may be averaged over a "
        f"second first. The root is in the sound of a frame. The tonic takes more than one chord."
    )


def curves_of(log: TrainingLog, key: str) -> dict[str, Curve]:
    """The quantity in training and, where it was logged, on held-out music."""
    found = {"training": log.curve(key)}
    if key in log.keys("valid"):
        found["held-out"] = log.curve(key, "valid")
    return found


def draw_training(page: Page, folder: Path, log: TrainingLog, figures: Measurements, resumed_at: int | None) -> None:
    """Losses and accuracies over updates."""
    marks = {"stopped and resumed": resumed_at} if resumed_at else {}

    def add(name: str, text: str, curves: dict[str, Curve], ylabel: str, levels: dict[str, float]) -> None:
        path = draw_curves(folder / f"{name}.png", curves, title=text, ylabel=ylabel, levels=levels, marks=marks)
        page.picture(path, text)

    add("loss", "Total loss a masked frame", curves_of(log, "loss"), "bits", {})
    codebooks = range(len(figures["labels"]))
    cross_entropies = {figures["labels"][q]: log.curve(f"loss_m_{q}") for q in codebooks}
    uniform = {"a uniform guess": float(-np.log2(figures["chance"][0]))}
    add("loss_codes", "Cross entropy of each codebook, training", cross_entropies, "bits", uniform)
    add("loss_cqt", "CQT error", curves_of(log, "cqt_pred_m"), "mean squared error", _mean_level(figures))
    accuracies = {figures["labels"][q]: log.curve(f"accuracy_m_{q}") for q in codebooks}
    guess = {f"most frequent {figures['labels'][0]}, held-out": figures["most_frequent"][0]}
    add("accuracy", "Accuracy on masked frames, training", accuracies, "share", guess)


def _mean_level(figures: Measurements) -> dict[str, float]:
    return {"mean spectrum, held-out": figures["cqt_error_of_mean"]}


def draw_prediction(page: Page, folder: Path, figures: Measurements) -> None:
    """The CQT of a held-out clip beside the prediction."""
    with np.load(folder / "measurements.npz") as arrays:
        cqt = {name: log_magnitudes(arrays[key]) for name, key in (("CQT", "cqt"), ("predicted", "prediction"))}
        notes = note_ticks(arrays["cqt_hz"])
    seconds, value = figures["seconds_pictured"], "log10 of magnitude"
    page.picture(
        draw_spectrograms(folder / "cqt.png", cqt, seconds=seconds, ylabel="frequency", yticks=notes, value=value),
        "CQT of a held-out clip, and the model's prediction: each frame predicted while it was masked.",
    )


def draw_held_out(page: Page, folder: Path, figures: Measurements) -> None:
    """Accuracy bars, features by layer."""
    bars = {
        "model": figures["accuracy"],
        "most frequent code": figures["most_frequent"],
        "chance": figures["chance"],
    }
    text = "Accuracy on masked frames of held-out music"
    page.picture(draw_bars(folder / "bars.png", figures["labels"], bars, title=text, ylabel="share"), text)
    seconds = figures["seconds_pictured"]
    with np.load(folder / "measurements.npz") as arrays:
        layers = {f"layer {number}": layer for number, layer in enumerate(arrays["features"], start=1)}
    page.picture(
        draw_spectrograms(
            folder / "features.png", layers, seconds=seconds, ylabel="dimension", value="feature", shared_scale=False
        ),
        "Features of the same clip, nothing masked.",
    )


def build(folder: Path, logs: list[Path], checked: bool) -> tuple[Path, list[str]]:
    """Write the page from ``folder/measurements.*`` and the logs; gives its path and what is wrong.

    Args:
        folder: of the report.
        logs: of the training, and of its continuation if there was one.
        checked: whether to look for faults at all; a training of a few updates cannot pass.
    """
    figures = json.loads((folder / "measurements.json").read_text())
    parts = [TrainingLog.read(path) for path in logs]
    whole = TrainingLog.read(*logs)
    found = faults(figures, parts[0], parts[1] if len(parts) > 1 else None) if checked else []
    resumed_at = parts[0].last_update if len(parts) > 1 else None

    page = Page("MERT quickstart")
    page.paragraph(
        f"{figures['parameters']:,} parameters, {whole.last_update} updates, measured on {figures['masked_frames']:,} "
        f"masked frames of held-out music."
    )
    for fault in found:
        page.paragraph(f"Failed: {fault}", "bad")
    if checked and not found:
        page.paragraph("The model beats guessing on held-out music, and the training resumed where it stopped.", "good")
    if not checked:
        page.paragraph("A short run: nothing was checked.", "")
    page.heading("What the model predicts")
    draw_prediction(page, folder, figures)
    page.heading("Results")
    results_table(page, figures)
    draw_held_out(page, folder, figures)
    if (folder / "probe.json").is_file():
        page.heading("What its features know")
        probe_table(page, json.loads((folder / "probe.json").read_text()))
    page.heading("Training")
    draw_training(page, folder, whole, figures, resumed_at)
    return page.write(folder), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the report's; measure.py has written measurements.* there")
    parser.add_argument("--logs", type=Path, nargs="+", required=True, help="of the training and of its continuation")
    parser.add_argument("--no-check", action="store_true", help="write the page of a training too short to learn")
    arguments = parser.parse_args()
    path, found = build(arguments.folder, arguments.logs, checked=not arguments.no_check)
    print(f"Report: {path.resolve()}")
    for fault in found:
        print(f"FAILED: {fault}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
