"""mert-genre check: whether FMA's tables suffice for genre classification, and how many tracks each genre has."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from mert_fairseq.arguments import Help
from mert_fairseq.fma.card import SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.tables import is_published
from mert_fairseq.genre.features.dataset import features_of
from mert_fairseq.genre.features.fma_genres import LABELS, labelled_tracks
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.splits import check_counts, check_disjoint
from mert_fairseq.genre.vocabulary import GenreVocabulary
from mert_fairseq.reporting.text_table import text_table

EXAMPLE = """example:
  mert-genre check data/fma/fma_metadata --subset medium"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand."""
    options = subparsers.add_parser(
        "check",
        help="look for what would spoil a training from features, and count the tracks of each genre",
        description="Check tracks.csv, genres.csv and features.csv of a subset: known genres, features of every "
        "track, no gaps that cannot be filled, no genre without training tracks, no track in two splits. "
        "Exit status: 0, or 1 with the first error.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("data", type=Path, help="folder of the unpacked fma_metadata")
    options.add_argument("--subset", default="medium", choices=SUBSETS, help="of FMA, with the smaller ones")
    options.add_argument("--labels", default="genre_top", choices=LABELS, help="one genre a track, or several")
    options.add_argument("--json", action="store_true", help="print the counts as JSON")
    options.set_defaults(run=run)


def check_tables(fma: FMA, subset: str, labels: str) -> dict[str, Any]:
    """Check, and count.

    Returns:
        published: whether the tables have the published size; tracks of each split; missing: cells of features.csv that
        are empty for these tracks; genres: of each the tracks of each split.

    Raises:
        ValueError, KeyError: for what would stop a training; says where and the remedy.
    """
    tracks = {split: labelled_tracks(fma, subset, split, labels) for split in SPLITS}
    check_disjoint({split: found.ids for split, found in tracks.items()})
    counts = {split: Counter(title for titles in found.genres for title in titles) for split, found in tracks.items()}
    vocabulary = GenreVocabulary.of(title for count in counts.values() for title in count)
    where = f"{fma.metadata_dir / 'tracks.csv'}, subset {subset}"
    check_counts(vocabulary, [counts["training"][title] for title in vocabulary.titles], where)
    features = {split: features_of(fma.features, found.ids) for split, found in tracks.items()}
    preprocessor = Preprocessor().fit(features["training"])
    for table in features.values():
        preprocessor.transform(table)
    return {
        "published": is_published("tracks.csv", fma.tracks) and is_published("features.csv", fma.features),
        "tracks": {split: len(found.ids) for split, found in tracks.items()},
        "missing": int(sum(table.isna().to_numpy().sum() for table in features.values())),
        "genres": {title: {split: counts[split][title] for split in SPLITS} for title in vocabulary.titles},
    }


def run(arguments: argparse.Namespace) -> int:
    """Check and print."""
    found = check_tables(FMA(arguments.data), arguments.subset, arguments.labels)
    if arguments.json:
        print(json.dumps(found))
        return 0
    rows = [[title, *(f"{count:,}" for count in counts.values())] for title, counts in found["genres"].items()]
    print(text_table(["genre", *SPLITS], [*rows, ["tracks", *(f"{count:,}" for count in found["tracks"].values())]]))
    print(f"{found['missing']} of the features are missing and will be filled." if found["missing"] else "No gaps.")
    print("These are the published tables." if found["published"] else "These are not FMA's published tables.")
    return 0
