"""Columns of the four metadata tables and what each column holds."""

from typing import NamedTuple

from mert_fairseq.fma.card import SPLITS, SUBSETS

Column = tuple[str, ...]
Kind = str  # one of: text, integer, number, date, integers, words, category, split, subset


class Layout(NamedTuple):
    """Shape of one CSV file: stacked header lines, then (if ``index_line``) a line with the index name alone."""

    name: str
    header_rows: int
    index_name: str
    index_line: bool
    columns: dict[Column, Kind]


def _named(group: str, **kinds: str) -> dict[Column, Kind]:
    """Columns of a group in the published order, which is that of the alphabet."""
    return dict(sorted({(group, name): kind for kind, names in kinds.items() for name in names.split()}.items()))


TRACK_COLUMNS: dict[Column, Kind] = {
    **_named(
        "album",
        integer="comments favorites id listens tracks",
        date="date_created date_released",
        words="tags",
        category="information type",
        text="engineer producer title",
    ),
    **_named(
        "artist",
        integer="comments favorites id",
        number="latitude longitude",
        date="active_year_begin active_year_end date_created",
        words="tags",
        category="bio",
        text="associated_labels location members name related_projects website wikipedia_page",
    ),
    **_named("set", split="split", subset="subset"),
    **_named(
        "track",
        integer="bit_rate comments duration favorites interest listens number",
        date="date_created date_recorded",
        integers="genres genres_all",
        words="tags",
        category="genre_top language_code license",
        text="composer information lyricist publisher title",
    ),
}

GENRE_COLUMNS: dict[Column, Kind] = {
    ("#tracks",): "integer",
    ("parent",): "integer",
    ("title",): "text",
    ("top_level",): "integer",
}

FEATURES = {  # values a frame
    "chroma_cens": 12,
    "chroma_cqt": 12,
    "chroma_stft": 12,
    "mfcc": 20,
    "rmse": 1,
    "spectral_bandwidth": 1,
    "spectral_centroid": 1,
    "spectral_contrast": 7,
    "spectral_rolloff": 1,
    "tonnetz": 6,
    "zcr": 1,
}
MOMENTS = ("kurtosis", "max", "mean", "median", "min", "skew", "std")  # over the frames of the whole track
FEATURE_COLUMNS: dict[Column, Kind] = {
    (feature, moment, f"{number:02d}"): "number"
    for feature, size in FEATURES.items()
    for moment in MOMENTS
    for number in range(1, size + 1)
}

_AUDIO = ["acousticness", "danceability", "energy", "instrumentalness", "liveness", "speechiness", "tempo", "valence"]
_SOCIAL = ["artist_discovery", "artist_familiarity", "artist_hotttnesss", "song_currency", "song_hotttnesss"]
ECHONEST_GROUPS: dict[str, dict[str, Kind]] = {
    "audio_features": dict.fromkeys(_AUDIO, "number"),
    "metadata": {
        "album_date": "text",
        "album_name": "text",
        "artist_latitude": "number",
        "artist_location": "text",
        "artist_longitude": "number",
        "artist_name": "text",
        "release": "text",
    },
    "ranks": dict.fromkeys([f"{name}_rank" for name in _SOCIAL], "number"),
    "social_features": dict.fromkeys(_SOCIAL, "number"),
    "temporal_features": dict.fromkeys([f"{number:03d}" for number in range(224)], "number"),
}
ECHONEST_COLUMNS: dict[Column, Kind] = {
    ("echonest", group, name): kind for group, names in ECHONEST_GROUPS.items() for name, kind in names.items()
}

TRACKS = Layout("tracks.csv", 2, "track_id", True, TRACK_COLUMNS)
GENRES = Layout("genres.csv", 1, "genre_id", False, GENRE_COLUMNS)
FEATURE_TABLE = Layout("features.csv", 3, "track_id", True, FEATURE_COLUMNS)
ECHONEST = Layout("echonest.csv", 3, "track_id", True, ECHONEST_COLUMNS)

VOCABULARIES = {"split": SPLITS, "subset": SUBSETS}
