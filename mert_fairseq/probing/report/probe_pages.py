"""Writes the pages: one per task with all models, and an index over all tasks."""

import csv
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import metrics

from mert_fairseq.files import replacing
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.report.probe_plots import draw_few_shot, draw_layers
from mert_fairseq.probing.report.score_tables import CSV_HEADER, MISSING, csv_rows, number, score_rows, spread
from mert_fairseq.probing.results import OUTPUTS, read_results
from mert_fairseq.reporting.figures import draw_confusion, draw_scores
from mert_fairseq.reporting.page import Page

WORST = 5  # clips to listen to
SUMMARY_CSV, SUMMARY_JSON = "results.csv", "results.json"


def write_reports(out: Path, tasks: Mapping[str, ProbeTask], data: Mapping[str, Path] | None = None) -> list[Path]:
    """Write the report of every task that has results, and the index.

    Args:
        out: the folder of all results.
        tasks: by name.
        data: folders of the data sets by task, for clips to listen to; they are copied where the licence allows it.

    Returns:
        The pages.
    """
    pages, everything = [], []
    for name, task in tasks.items():
        results = [found for folder in sorted((out / name).glob("*/")) if (found := read_results(folder))]
        if results:
            pages.append(_write_task(out / name, task, results, (data or {}).get(name)))
            everything += results
    _write_numbers(out, everything)
    _write_index(out, tasks, everything)
    return pages


def _write_task(folder: Path, task: ProbeTask, results: list[dict[str, Any]], data: Path | None) -> Path:
    page = Page(f"Probe: {task.title}")
    _data_table(page, task, results[0])
    page.heading("Scores on test")
    page.table(["model", *(metric.replace("_", " ") for metric in task.metrics), "layer", "learning rate"],
               score_rows(results, task.metrics))  # fmt: skip
    page.paragraph(_scores_note(results))
    _copies(page, task, results)
    if any(each.get("by_layer") for each in results):
        page.heading("Layers")
        page.picture(draw_layers(folder / "layers.png", results, results[0]["monitor"]), LAYERS_NOTE)
    _few_labels(page, folder, results)
    for each in results:
        _one_model(page, folder, task, each, data)
    return page.write(folder)


def _copies(page: Page, task: ProbeTask, results: Sequence[Mapping[str, Any]]) -> None:
    """Scores of the same heads on changed copies of the test clips."""
    kinds = list(dict.fromkeys(kind for each in results for kind in each.get("copies", {})))
    if not kinds:
        return
    metric = task.metrics[0]

    def cell(each: Mapping[str, Any], kind: str) -> str:
        found = each.get("copies", {}).get(kind)
        return spread(metric, found[metric]) if found else MISSING

    page.heading("Changed copies of the test clips")
    page.table(
        [f"{metric.replace('_', ' ')}: model", "unchanged", *(kind.replace("_", " ") for kind in kinds)],
        [
            [
                each["model"],
                spread(metric, each["scores"][metric]),
                *(cell(each, kind) for kind in kinds),
            ]
            for each in results
        ],
    )
    page.paragraph("The heads are trained and chosen on unchanged clips, and tested on copies of the test clips.")


LAYERS_NOTE = (
    "Test score of each layer at the learning rate that is best on validation; bars: standard deviation over seeds. "
    "The layer of the table above is chosen on validation, not from this picture."
)


def _data_table(page: Page, task: ProbeTask, first: Mapping[str, Any]) -> None:
    protocol = first["protocol"]
    sizes = " / ".join(f"{size:,}" for size in first["sizes"].values())
    page.table(
        ["data and protocol", ""],
        [
            ["data set", task.card.title],
            ["licence", task.card.licence],
            ["train / valid / test clips", sizes],
            ["left out", str(len(first["left_out"]))],
            ["published split", "yes" if task.card.sizes and first["published"] else "no, or another protocol"],
            ["protocol", protocol["name"]],
            ["head", f"{protocol['head']}, {protocol['hidden']} units" if protocol["head"] == "mlp" else "linear"],
            ["learning rates", ", ".join(f"{rate:g}" for rate in protocol["learning_rates"])],
            ["seeds", str(len(protocol["seeds"]))],
            ["chosen by", f"{first['monitor'].replace('_', ' ')} on validation"],
        ],
    )


def _scores_note(results: Sequence[Mapping[str, Any]]) -> str:
    text = "Mean ± standard deviation over seeds, [95 % interval of the mean] (Student's t); times 100, SDR in dB."
    if not all(each["published"] for each in results):
        text += " Published figures are left out: they compare only on the published data, under --protocol marble."
    return text


def _few_labels(page: Page, folder: Path, results: Sequence[Mapping[str, Any]]) -> None:
    found = [each for each in results if "neighbours" in each]
    if not found:
        return
    page.heading("With few labels, and without training")
    if few := [each for each in found if each.get("few_shot")]:
        text = "Logistic regression on the best single layer, labelled clips drawn five times; dots: k-NN on all clips."
        page.picture(draw_few_shot(folder / "few_shot.png", few, found[0]["monitor"]), text)
    scored = list(found[0]["neighbours"]["test"])
    page.table(
        ["k-NN by cosine", "layer", "neighbours", *(metric.replace("_", " ") for metric in scored)],
        [
            [
                each["model"],
                str(each["neighbours"]["layer"]),
                str(each["neighbours"]["neighbours"]),
                *(number(metric, each["neighbours"]["test"][metric]) for metric in scored),
            ]
            for each in found
        ],
    )


def _one_model(page: Page, folder: Path, task: ProbeTask, each: Mapping[str, Any], data: Path | None) -> None:
    path = folder / each["model"] / OUTPUTS
    if each.get("tags"):
        page.heading(f"{each['model']}: tags")
        _tags(page, folder, each)
    elif path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            outputs, targets, files = stored["outputs"], stored["targets"], stored["files"]
        if targets.ndim == 1:
            page.heading(f"{each['model']}: confusions")
            _confusion(page, folder, each, outputs.mean(0), targets)
            _worst(page, folder, task, each, outputs.mean(0), targets, files, data)


def _tags(page: Page, folder: Path, each: Mapping[str, Any]) -> None:
    tags = [tag for tag in each["tags"] if tag["roc_auc"] is not None]
    picture = draw_scores(
        folder / f"tags_{each['model']}.png",
        [tag["tag"] for tag in tags],
        [tag["average_precision"] for tag in tags],
        "Average precision of each tag",
        "average precision",
    )
    page.picture(picture, f"Average precision of each tag, mean over seeds: {each['model']}.")
    page.table(
        ["tag", "test clips", "ROC AUC", "average precision"],
        [
            [tag["tag"], f"{tag['clips']:,}", number("", tag["roc_auc"]), number("", tag["average_precision"])]
            for tag in each["tags"]
        ],
    )


def _confusion(page: Page, folder: Path, each: Mapping[str, Any], outputs: np.ndarray, targets: np.ndarray) -> None:
    present = sorted({*targets.tolist(), *outputs.argmax(1).tolist()})
    counts = metrics.confusion_matrix(targets, outputs.argmax(1), labels=present)
    names = [each["names"][place] for place in present]
    path = folder / f"confusion_{each['model']}.png"
    draw_confusion(path, counts, counts.sum(1).tolist(), names, f"Confusions of {each['model']}", noun="class")
    page.picture(path, "Rows: true classes; columns: the outputs' mean over seeds; in percent of the row.")


def _worst(
    page: Page,
    folder: Path,
    task: ProbeTask,
    each: Mapping[str, Any],
    outputs: np.ndarray,
    targets: np.ndarray,
    files: np.ndarray,
    data: Path | None,
) -> None:
    """The clips with the largest gap between predicted and true class; with players if copies are allowed."""
    margins = outputs.max(1) - outputs[np.arange(len(targets)), targets]
    worst = [place for place in np.argsort(-margins)[:WORST] if margins[place] > 0]
    if not worst:
        return
    names = each["names"]
    page.table(
        ["worst clips", "is", "is taken for", "outputs apart"],
        [[str(files[p]), names[targets[p]], names[outputs[p].argmax()], f"{margins[p]:.2f}"] for p in worst],
    )
    if not (task.card.may_copy and data):
        return
    (folder / "clips").mkdir(exist_ok=True)
    players = []
    for place in worst:
        source = data / str(files[place])
        if source.is_file():
            copy = folder / "clips" / source.name
            shutil.copyfile(source, copy)
            players.append((f"{source.name}: is {names[targets[place]]}", f"clips/{copy.name}"))
    page.sounds(players)


def _write_numbers(out: Path, results: Sequence[Mapping[str, Any]]) -> None:
    with replacing(out / SUMMARY_CSV) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_HEADER)
        writer.writerows(csv_rows(results))
    with replacing(out / SUMMARY_JSON) as partial:
        partial.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def _write_index(out: Path, tasks: Mapping[str, ProbeTask], results: Sequence[Mapping[str, Any]]) -> None:
    page = Page("Probes")
    models = list(dict.fromkeys(each["model"] for each in results))
    rows = []
    for name, task in tasks.items():
        found = {each["model"]: each for each in results if each["task"] == name}
        if found:
            metric = task.metrics[0]
            cells = [spread(metric, found[model]["scores"][metric]) if model in found else "-" for model in models]
            rows.append([task.title, metric.replace("_", " "), *cells])
            page.link(f"{name}/index.html", task.title)
    page.heading("Main score of each task")
    page.table(["task", "score", *models], rows)
    page.paragraph(_scores_note(results))
    page.write(out)
