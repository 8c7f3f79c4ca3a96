"""Write the report about FMA: one HTML page with figures. The tables may hold a part of FMA."""

from pathlib import Path

import pandas as pd

from mert_fairseq.fma.constants import CITATION, HOMEPAGE, PUBLISHED_SHAPES, PUBLISHED_SPLITS, SUBSETS
from mert_fairseq.fma.corpus import FMA
from mert_fairseq.fma.explore import counts, feature_plots, track_plots
from mert_fairseq.fma.schema import FEATURES, MOMENTS
from mert_fairseq.fma.tables import is_published
from mert_fairseq.reporting.page import Page


def explore(fma: FMA, out_dir: Path) -> Path:
    """Write the report.

    Args:
        fma: the data set; its audio is not read.
        out_dir: created if missing; receives index.html and the figures.

    Returns:
        Path of index.html.

    Raises:
        TableError: if a table is damaged.
        ValueError: if the tables do not match each other.
    """
    fma.check_references()
    out_dir.mkdir(parents=True, exist_ok=True)
    page = Page("FMA: the Free Music Archive data set")
    _overview(page, fma)
    _genres(page, fma, out_dir)
    _tracks(page, fma, out_dir)
    _features(page, fma, out_dir)
    _echonest(page, fma, out_dir)
    page.heading("Source")
    page.paragraph(f"{HOMEPAGE}; metadata under CC BY 4.0. {' '.join(CITATION.split())}")
    return page.write(out_dir)


def _overview(page: Page, fma: FMA) -> None:
    page.heading("Tables")
    tables = {
        "tracks.csv": fma.tracks,
        "genres.csv": fma.genres,
        "features.csv": fma.features,
        "echonest.csv": fma.echonest,
    }
    rows = [
        [name, f"{len(table):,}", str(table.shape[1]), f"{PUBLISHED_SHAPES[name][0]:,} x {PUBLISHED_SHAPES[name][1]}"]
        for name, table in tables.items()
    ]
    page.table(["file", "rows", "columns", "published"], rows)
    if not all(is_published(name, table) for name, table in tables.items()):
        page.paragraph("These are not the published tables: rows or columns differ from fma_metadata.zip.", "bad")
    page.heading("Subsets and splits")
    sizes = counts.split_sizes(fma)
    page.table(
        ["subset", *sizes.columns, "all", "published"],
        [
            [subset, *map("{:,}".format, (*row, row.sum())), " / ".join(map("{:,}".format, PUBLISHED_SPLITS[subset]))]
            for subset, row in zip(sizes.index, sizes.to_numpy(), strict=True)
        ],
    )
    crossing = counts.artists_in_several_splits(fma)
    artists = fma.tracks["artist", "id"].nunique()
    page.paragraph(
        f"{crossing} of {artists:,} artists are in more than one split."
        + ("" if crossing else " So a model cannot gain test accuracy by recognising artists."),
        "bad" if crossing else "good",
    )
    known = [track for track in fma.known_bad if track in fma.tracks.index]
    page.paragraph(f"{len(known)} of these tracks are known to have bad audio; prepare_fma.py leaves them out.")
    reasons = dict.fromkeys(fma.known_bad[track] for track in known)
    rows = [[why, ", ".join(str(track) for track in known if fma.known_bad[track] == why)] for why in reasons]
    page.table(["reason", "tracks"], rows)


def _genres(page: Page, fma: FMA, out_dir: Path) -> None:
    page.heading("Genres")
    without = int(fma.tracks["track", "genre_top"].isna().sum())
    page.paragraph(
        f"{without:,} tracks have genres of several roots and therefore no top genre ({without / len(fma.tracks):.1%})."
    )
    tops = {subset: counts.top_genre_counts(fma, subset) for subset in SUBSETS}
    page.picture(track_plots.draw_top_genres(out_dir / "top_genres.png", tops), "Top genres in each subset and split.")
    genres = counts.genre_counts(fma)
    roots = {genre: fma.tree.titles[fma.tree.root(genre)] for genre in genres.index}
    page.picture(
        track_plots.draw_genre_sizes(out_dir / "genres.png", genres, roots), "The largest genres of the large set."
    )
    page.heading("Genre tree")
    page.paragraph("Counted through genres_all: a track counts for its genres and for all genres above them.")
    page.table(
        ["genre", "id", *SUBSETS, "in genres.csv"],
        [
            [
                "\u2003" * row["depth"] + row["title"],
                str(genre),
                *(f"{row[subset]:,}" for subset in SUBSETS),
                f"{row['published']:,}",
            ]
            for genre, row in genres.iterrows()
        ],
    )


def _tracks(page: Page, fma: FMA, out_dir: Path) -> None:
    tracks = fma.tracks
    page.heading("tracks.csv")
    columns = counts.describe_columns(tracks)
    page.picture(
        track_plots.draw_missing(out_dir / "missing.png", columns), "Missing values; an empty list counts as missing."
    )
    _column_table(page, columns, tracks.index[:3])
    page.picture(
        track_plots.draw_durations(out_dir / "durations.png", tracks["track", "duration"]),
        "Durations of the whole tracks; the clips of small, medium and large are 30 s.",
    )
    page.picture(
        track_plots.draw_bit_rates(out_dir / "bit_rates.png", counts.bit_rate_counts(fma)),
        "Bit rates of the MP3 files that were uploaded.",
    )
    page.picture(
        track_plots.draw_licences(out_dir / "licences.png", counts.licence_counts(fma)),
        "Licences and what they allow. Unrecognised texts count as unknown.",
    )
    page.picture(
        track_plots.draw_growth(out_dir / "growth.png", tracks["track", "date_created"], tracks["set", "subset"]),
        "Tracks added to the archive per year.",
    )


def _features(page: Page, fma: FMA, out_dir: Path) -> None:
    features = fma.features
    page.heading("features.csv")
    page.paragraph(
        f"{len(MOMENTS)} statistics over time ({', '.join(MOMENTS)}) of {sum(FEATURES.values())} numbers per frame."
    )
    rows = []
    for feature, size in FEATURES.items():
        means = features[feature, "mean"].to_numpy()
        missing = int(features[feature].isna().to_numpy().sum())
        rows.append(
            [feature, str(size), f"{means.min():.4g}", f"{means.mean():.4g}", f"{means.max():.4g}", str(missing)]
        )
    page.table(
        ["feature", "numbers per frame", "smallest mean", "mean of means", "largest mean", "missing cells"], rows
    )
    page.paragraph("The first tracks and columns:")
    _head(page, features.iloc[:5, :5])
    page.picture(
        feature_plots.draw_feature_correlations(out_dir / "correlations.png", features),
        "Correlation of every mean with every other, over all tracks. In brackets: numbers per frame.",
    )
    genres = fma.tracks["track", "genre_top"].reindex(features.index)
    page.picture(
        feature_plots.draw_genre_profiles(
            out_dir / "feature_profiles.png",
            feature_plots.feature_means(features),
            genres,
            "Features of each top genre",
        ),
        "Distance of the genre mean from the mean of all tracks, averaged over the numbers of the feature.",
    )


def _echonest(page: Page, fma: FMA, out_dir: Path) -> None:
    echonest = fma.echonest
    page.heading("echonest.csv")
    page.paragraph(f"Echonest analysed {len(echonest):,} of the tracks ({len(echonest) / len(fma.tracks):.1%}).")
    groups = echonest["echonest"]
    rows = []
    for group in dict.fromkeys(groups.columns.get_level_values(0)):
        missing = groups[group].isna().to_numpy().mean()
        rows.append([group, str(groups[group].shape[1]), f"{missing:.1%}", ", ".join(groups[group].columns[:5])])
    page.table(["group", "columns", "missing", "first columns"], rows)
    page.picture(feature_plots.draw_echonest(out_dir / "echonest.png", echonest), "Line: median.")
    genres = fma.tracks["track", "genre_top"].reindex(echonest.index)
    page.picture(
        feature_plots.draw_genre_profiles(
            out_dir / "echonest_profiles.png", groups["audio_features"], genres, "Echonest's view of each top genre"
        ),
        "Distance of the genre mean from the mean of all tracks that Echonest analysed.",
    )


def _column_table(page: Page, columns: pd.DataFrame, ids: pd.Index) -> None:
    page.paragraph("All columns with the values of the first tracks:")
    page.table(
        ["column", "type", "missing", "distinct", *(f"track {track_id}" for track_id in [*ids, "", "", ""][:3])],
        [
            [
                name,
                row["type"],
                f"{row['missing_share']:.1%}",
                f"{row['distinct']:,}",
                row["first"],
                row["second"],
                row["third"],
            ]
            for name, row in columns.iterrows()
        ],
    )


def _head(page: Page, head: pd.DataFrame) -> None:
    page.table(
        [str(head.index.name), *(" ".join(column) for column in head.columns)],
        [
            [str(index), *(f"{value:.5g}" for value in row)]
            for index, row in zip(head.index, head.to_numpy(), strict=True)
        ],
    )
