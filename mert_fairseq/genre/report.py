"""mert-genre report: test a checkpoint on a split and write the report."""

import argparse
import json
from pathlib import Path

from mert_fairseq.arguments import Help
from mert_fairseq.genre.base_task import load_classifier
from mert_fairseq.genre.epoch_history import HISTORY_FILE, EpochHistory
from mert_fairseq.genre.features.baselines import check_comparable, comparison, read_baselines
from mert_fairseq.genre.metrics import percent
from mert_fairseq.genre.report_page import write_report
from mert_fairseq.jobs.command import print_result

EXAMPLE = """example:
  mert-genre report exp/fma_features/checkpoint_best.pt --out exp/fma_features/report"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand ``report``."""
    options = subparsers.add_parser(
        "report",
        help="scores, confusion matrix and curves of a checkpoint, as HTML, PNG, JSON and CSV",
        description="Test a checkpoint on a split and write a report. Exit status: 0, or 1 with the error.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("checkpoint", type=Path, help="checkpoint of a genre task, such as checkpoint_best.pt")
    options.add_argument("--out", type=Path, required=True, help="output folder")
    options.add_argument("--data", type=Path, help="data folder, if it has moved since training")
    options.add_argument("--split", default="test", help="train, valid or test (default test)")
    options.add_argument("--baselines", type=Path, help="JSON file of mert-genre baselines, to compare with the model")
    options.add_argument("--json", action="store_true", help="print the scores as JSON")
    options.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict the split, write the report, print the main scores."""
    baselines = read_baselines(arguments.baselines) if arguments.baselines else None
    model, task, cfg = load_classifier(arguments.checkpoint, data=arguments.data and str(arguments.data))
    if baselines:
        check_comparable(arguments.split, task.multi_label)
    predictions = task.predict(
        model,
        arguments.split,
        max_sentences=cfg.dataset.batch_size_valid or cfg.dataset.batch_size,
        max_tokens=cfg.dataset.max_tokens_valid or cfg.dataset.max_tokens,
    )
    facts = {
        "checkpoint": str(arguments.checkpoint),
        "data": str(cfg.task.data),
        "split": arguments.split,
        "task, model": f"{cfg.task._name}, {cfg.model._name}",
        "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
        "seed": str(cfg.common.seed),
    }
    sections = [comparison(baselines, cfg.model._name, predictions)] if baselines else []
    scores = write_report(
        arguments.out,
        predictions,
        task.vocabulary.titles,
        title="Genre classification",
        facts=facts,
        history=_history(arguments.checkpoint, task.state.history),
        sections=sections,
    )
    if arguments.json:
        return print_result(json.dumps(scores))
    return print_result(
        f"{scores['tracks']} tracks: accuracy {percent(scores['accuracy'])}, macro F1 {scores['macro_f1']:.3f}\n"
        f"Report: {(arguments.out / 'index.html').resolve()}"
    )


def _history(checkpoint: Path, carried: list[dict[str, float]]) -> EpochHistory:
    """Read all epochs from the history file beside the checkpoint, else take those in the checkpoint."""
    path = checkpoint.parent / HISTORY_FILE
    return EpochHistory.read(path) if path.is_file() else EpochHistory(carried)
