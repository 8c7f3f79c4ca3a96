"""The class FMA: one object for tables, subsets, splits, genres, licences and audio paths."""

from functools import cached_property
from pathlib import Path

import pandas as pd

from mert_fairseq.fma.constants import SPLITS, SUBSETS, audio_path, known_bad
from mert_fairseq.fma.genre_tree import GenreTree
from mert_fairseq.fma.licences import Licence, parse_licence
from mert_fairseq.fma.tables import load_echonest, load_features, load_genres, load_tracks


class FMA:
    """The Free Music Archive data set on disk. Tables are read on first use.

    Args:
        metadata_dir: the unpacked fma_metadata with tracks.csv, genres.csv, features.csv and echonest.csv.
        audio_dir: the unpacked fma_small, fma_medium, fma_large or fma_full; needed only by :meth:`audio_path`.
        archive: small, medium, large or full; selects the list of known bad files.
    """

    def __init__(self, metadata_dir: Path | str, audio_dir: Path | str | None = None, archive: str = "large") -> None:
        self.metadata_dir = Path(metadata_dir)
        self.audio_dir = None if audio_dir is None else Path(audio_dir)
        self.known_bad: dict[int, str] = known_bad(archive)

    @cached_property
    def tracks(self) -> pd.DataFrame:
        """tracks.csv, see :func:`mert_fairseq.fma.tables.load_tracks`."""
        return load_tracks(self.metadata_dir / "tracks.csv")

    @cached_property
    def genres(self) -> pd.DataFrame:
        """genres.csv, see :func:`mert_fairseq.fma.tables.load_genres`."""
        return load_genres(self.metadata_dir / "genres.csv")

    @cached_property
    def features(self) -> pd.DataFrame:
        """features.csv, (tracks, 518). Parsing the published table takes about 1 GB."""
        return load_features(self.metadata_dir / "features.csv")

    @cached_property
    def echonest(self) -> pd.DataFrame:
        """echonest.csv, (some tracks, 249)."""
        return load_echonest(self.metadata_dir / "echonest.csv")

    @cached_property
    def tree(self) -> GenreTree:
        """The genre hierarchy of genres.csv."""
        return GenreTree(self.genres)

    def select(self, subset: str = "large", split: str | None = None) -> pd.DataFrame:
        """Select the tracks of a subset, optionally of one official split. Known bad tracks are included.

        Args:
            subset: small, medium or large (all tracks); includes the smaller subsets.
            split: training, validation or test.
        """
        if subset not in SUBSETS:
            raise ValueError(f"subset {subset!r} is unknown; choose from {', '.join(SUBSETS)}.")
        chosen = self.tracks["set", "subset"] <= subset
        if split is not None:
            if split not in SPLITS:
                raise ValueError(f"split {split!r} is unknown; choose from {', '.join(SPLITS)}.")
            chosen &= self.tracks["set", "split"] == split
        return self.tracks[chosen]

    def licence(self, track_id: int) -> Licence:
        """The licence of a track."""
        return parse_licence(self.tracks.loc[track_id, ("track", "license")])

    def audio_path(self, track_id: int) -> Path:
        """Path of the MP3 of a track. The file may be missing.

        Raises:
            ValueError: if ``audio_dir`` was not given.
        """
        if self.audio_dir is None:
            raise ValueError("this FMA was opened without audio_dir; give the folder of the unpacked audio archive.")
        return self.audio_dir / audio_path(track_id)

    def check_genres(self) -> None:
        """Check that all genres of tracks.csv are in genres.csv.

        Raises:
            ValueError: if a genre or top genre of a track is missing from genres.csv; names the track.
        """
        tops = {self.tree.titles[root] for root in self.tree.roots}
        for track_id, genres, genres_all, top in zip(
            self.tracks.index,
            self.tracks["track", "genres"],
            self.tracks["track", "genres_all"],
            self.tracks["track", "genre_top"],
            strict=True,
        ):
            for genre in (*genres, *genres_all):
                if genre not in self.tree:
                    raise ValueError(
                        f"tracks.csv: track {track_id} has genre {genre}, which genres.csv lacks. The two must come "
                        f"from the same archive."
                    )
            if isinstance(top, str) and top not in tops:
                raise ValueError(
                    f"tracks.csv: track {track_id} has top genre {top!r}; the roots of genres.csv are "
                    f"{', '.join(sorted(tops))}. The two must come from the same archive."
                )

    def check_references(self) -> None:
        """Check that the four tables have matching genres and tracks.

        Raises:
            ValueError: if a genre or top genre of a track is missing from genres.csv, or a track of features.csv or
                echonest.csv is missing from tracks.csv; names the track.
        """
        self.check_genres()
        for name, table in (("features.csv", self.features), ("echonest.csv", self.echonest)):
            unknown = table.index.difference(self.tracks.index)
            if len(unknown):
                raise ValueError(
                    f"{name}: track {unknown[0]} (and {len(unknown) - 1} more) is not in tracks.csv. The two must come "
                    f"from the same archive."
                )
