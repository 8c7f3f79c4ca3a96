"""mert-genre baselines: scikit-learn classifiers on the same features and splits, next to the published accuracies."""

import argparse
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mert_fairseq.arguments import Help
from mert_fairseq.files import replacing
from mert_fairseq.fma.constants import PUBLISHED_ACCURACY, PUBLISHED_SHAPES, SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.schema import FEATURES
from mert_fairseq.fma.tables import is_published
from mert_fairseq.genre.features.baseline_models import MODELS, fit_best
from mert_fairseq.genre.features.fma_tracks import features_of, labelled_tracks
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.metrics import TOP, Predictions, percent, rank_scores
from mert_fairseq.genre.report_page import Section
from mert_fairseq.genre.vocabulary import GenreVocabulary, check_counts
from mert_fairseq.jobs.command import print_result
from mert_fairseq.reporting.page import text_table

EXAMPLE = """example:
  mert-genre baselines data/fma/fma_metadata --subset medium --out exp/fma_genre/baselines.json"""
HEADER = ("model", "setting", "validation", "test", f"top {TOP}", "macro F1", "published test")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand ``baselines``."""
    options = subparsers.add_parser(
        "baselines",
        help="logistic regression, kNN, SVM and MLP on FMA's features, in one table",
        description="Fit scikit-learn classifiers on the training split, select the setting of each on validation, and "
        "test it. Features are preprocessed as for the model. Exit status: 0, or 1 with the error.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("data", type=Path, help="folder of the unpacked fma_metadata")
    options.add_argument("--subset", default="medium", choices=SUBSETS, help="subset of FMA, includes the smaller ones")
    options.add_argument(
        "--features",
        default="all",
        help="all (518), or names joined by +, such as mfcc+spectral_contrast (default all)",
    )
    options.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS, metavar="MODEL", help=str(MODELS))
    options.add_argument("--seed", type=int, default=0, help="seed of the MLP")
    options.add_argument("--out", type=Path, help="JSON file, for mert-genre report --baselines")
    options.add_argument("--json", action="store_true", help="print JSON instead of the table")
    options.set_defaults(run=run)


def compute(fma: FMA, subset: str, features: str, models: list[str], seed: int) -> dict[str, Any]:
    """Fit and test the baselines.

    Returns:
        For JSON: subset, features, seed, published (whether the tables have the published size), tracks, test_ids, and
        rows, one per model: model, setting, valid_accuracy, accuracy, top_3, macro_f1, published_accuracy or None.

    Raises:
        ValueError, KeyError: if the tables are incomplete or a feature is unknown.
    """
    table = fma.features
    if features != "all":
        chosen = features.split("+")
        if unknown := [name for name in chosen if name not in FEATURES]:
            raise ValueError(f"features {unknown[0]!r} are unknown, expected all or some of {', '.join(FEATURES)}.")
        table = table[[column for column in table.columns if column[0] in chosen]]
    tracks = {split: labelled_tracks(fma, subset, split) for split in SPLITS}
    vocabulary = GenreVocabulary.of(titles[0] for found in tracks.values() for titles in found.genres)
    check_counts(vocabulary, vocabulary.counts(tracks["training"].genres), f"{fma.metadata_dir}, subset {subset}")
    preprocessor = Preprocessor().fit(features_of(table, tracks["training"].ids))
    values = {split: preprocessor.transform(features_of(table, found.ids)) for split, found in tracks.items()}
    targets = {split: vocabulary.classes(found.genres) for split, found in tracks.items()}
    train, valid = ((values[split], targets[split]) for split in SPLITS[:2])
    real = is_published("tracks.csv", fma.tracks) and is_published("features.csv", fma.features)
    published = PUBLISHED_ACCURACY.get((subset, features), {}) if real else {}
    rows = []
    for model in tqdm(models, desc="baselines", leave=False):
        best = fit_best(model, train, valid, values["test"], len(vocabulary), seed)
        rows.append(
            {
                "model": model,
                "setting": best.candidate.setting,
                "valid_accuracy": best.valid_accuracy,
                **rank_scores(best.scores, targets["test"]),
                "published_accuracy": published.get(model),
            }
        )
    metadata = {"subset": subset, "features": features, "seed": seed, "published": real, "tracks": len(fma.tracks)}
    return {**metadata, "test_ids": tracks["test"].ids, "rows": rows}


def note(baselines: dict[str, Any]) -> str:
    """Explain the column of published accuracies."""
    if baselines["published"]:
        text = (
            "Published: Defferrard et al., ISMIR 2017, on the same split. Here each setting is selected on validation."
        )
        known = (baselines["subset"], baselines["features"]) in PUBLISHED_ACCURACY
        return text if known else f"{text} Nothing is published for this subset and these features."
    return (
        f"Not the published FMA: tracks.csv has {baselines['tracks']:,} tracks, the published one "
        f"{PUBLISHED_SHAPES['tracks.csv'][0]:,}. The published accuracies do not apply and are left out."
    )


def cells(row: dict[str, Any]) -> list[str]:
    """Format a row as text cells, in the order of HEADER."""
    published, valid = row["published_accuracy"], row["valid_accuracy"]
    return [
        row["model"],
        row["setting"],
        "-" if valid is None else percent(valid),
        percent(row["accuracy"]),
        percent(row[f"top_{TOP}"]),
        f"{row['macro_f1']:.3f}",
        "-" if published is None else percent(published),
    ]


def check_comparable(split: str, multi_label: bool) -> None:
    """Check that a model can be compared with the baselines.

    Args:
        split: on which the model is tested.
        multi_label: whether its tracks may have several genres.

    Raises:
        ValueError: if the split is not test, or tracks are multi-label.
    """
    if split != "test" or multi_label:
        raise ValueError(
            f"--baselines need one genre per track and the split test; found a "
            f"{'multi-label' if multi_label else 'single-label'} model and the split {split}. Leave --baselines out."
        )


def comparison(baselines: dict[str, Any], model: str, predictions: Predictions) -> Section:
    """Build a table of the baselines with the model in the last row.

    Raises:
        ValueError: if the model was tested on other tracks.
    """
    tested = set(baselines["test_ids"])
    if tested != set(predictions.ids):
        raise ValueError(
            f"--baselines: they were tested on {len(tested)} tracks of subset {baselines['subset']}, the model on "
            f"{len(predictions.ids)}, of which {len(tested & set(predictions.ids))} are the same. Compute the "
            f"baselines with the subset of the model (--subset)."
        )
    own = rank_scores(predictions.probabilities, predictions.targets)
    row = {"model": model, "setting": "", "valid_accuracy": None, "published_accuracy": None, **own}
    rows = [cells(each) for each in (*baselines["rows"], row)]
    return Section("Baselines", HEADER, rows, f"Features: {baselines['features']}. {note(baselines)}")


def read_baselines(path: Path) -> dict[str, Any]:
    """Read the file that ``--out`` wrote.

    Raises:
        FileNotFoundError: if the file is missing.
        ValueError: if the file has another content.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file. mert-genre baselines --out writes it.")
    try:
        stored = json.loads(path.read_bytes())
    except ValueError:
        stored = None
    if not isinstance(stored, dict) or not {"rows", "test_ids", "subset", "features", "published"} <= stored.keys():
        raise ValueError(f"{path}: not a file of baselines. Give the file that mert-genre baselines --out wrote.")
    return stored


def run(arguments: argparse.Namespace) -> int:
    """Compute the baselines, write them, print the table."""
    found = compute(FMA(arguments.data), arguments.subset, arguments.features, arguments.models, arguments.seed)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(arguments.out) as partial:
            partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    table = text_table(HEADER, [cells(row) for row in found["rows"]])
    return print_result(json.dumps(found) if arguments.json else f"{table}\n{note(found)}")
