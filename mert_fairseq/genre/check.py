"""mert-genre check: check FMA's tables before training, and count the tracks of each genre."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from mert_fairseq.arguments import Help
from mert_fairseq.fma.constants import SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.tables import is_published
from mert_fairseq.genre.features.fma_tracks import LABELS, features_of, labelled_tracks
from mert_fairseq.genre.features.preprocessor import Preprocessor
from mert_fairseq.genre.vocabulary import GenreVocabulary, check_counts, check_disjoint
from mert_fairseq.jobs.command import print_result
from mert_fairseq.reporting.page import text_table

EXAMPLE = """example:
  mert-genre check data/fma/fma_metadata --subset medium"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand ``check``."""
    options = subparsers.add_parser(
        "check",
        help="check FMA's tables before training from features, and count the tracks of each genre",
        description="Check tracks.csv, genres.csv and features.csv for a subset: every genre is known, every track "
        "has features, all gaps can be filled, every genre has training tracks, no track is in two splits. "
        "Exit status: 0 if all is well, else 1 with the first error.",
        epilog=EXAMPLE,
        formatter_class=Help,
    )
    options.add_argument("data", type=Path, help="folder of the unpacked fma_metadata")
    options.add_argument("--subset", default="medium", choices=SUBSETS, help="subset of FMA, includes the smaller ones")
    options.add_argument(
        "--labels", default="genre_top", choices=LABELS, help="genre_top: one genre per track; the others: several"
    )
    options.add_argument("--json", action="store_true", help="print the counts as JSON")
    options.set_defaults(run=run)


def check_tables(fma: FMA, subset: str, labels: str) -> dict[str, Any]:
    """Check the tables and count tracks.

    Returns:
        published: whether the tables have the published size. tracks: number per split. missing: number of empty cells
        in features.csv for these tracks. genres: number of tracks per genre and split.

    Raises:
        ValueError, KeyError: if training would fail; the message says where and the remedy.
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
    """Check the tables and print the counts."""
    found = check_tables(FMA(arguments.data), arguments.subset, arguments.labels)
    if arguments.json:
        return print_result(json.dumps(found))
    rows = [[title, *(f"{count:,}" for count in counts.values())] for title, counts in found["genres"].items()]
    rows.append(["tracks", *(f"{count:,}" for count in found["tracks"].values())])
    gaps = f"{found['missing']} feature values are missing and will be filled." if found["missing"] else "No gaps."
    source = "These are the published tables." if found["published"] else "These are not FMA's published tables."
    return print_result("\n".join([text_table(["genre", *SPLITS], rows), gaps, source]))
