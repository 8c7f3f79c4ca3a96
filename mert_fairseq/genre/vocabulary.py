"""The vocabulary that maps genres to classes, and checks of splits before training."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing


class GenreVocabulary:
    """Maps genre titles to class indices and back.

        vocabulary = GenreVocabulary(["Folk", "Rock"])
        vocabulary.index("Rock"), vocabulary.title(1), len(vocabulary)

    Args:
        titles: in the order of the model's outputs.

    Raises:
        ValueError: if there are fewer than two titles, or a title occurs twice.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = tuple(titles)
        self._indices = {title: index for index, title in enumerate(self.titles)}
        if len(self.titles) < 2:
            raise ValueError(f"the genres are {list(titles)}: a classifier needs at least two. Choose another subset.")
        if len(self._indices) < len(self.titles):
            twice = next(title for title in self.titles if self.titles.count(title) > 1)
            raise ValueError(f"genre {twice!r} occurs twice in {list(titles)}; give each genre its own title.")

    @classmethod
    def of(cls, titles: Iterable[str]) -> "GenreVocabulary":
        """Make a vocabulary of the distinct titles in alphabetical order, independent of the order of tracks."""
        return cls(sorted(set(titles)))

    @classmethod
    def read(cls, path: Path | str) -> "GenreVocabulary":
        """Read what :meth:`write` wrote.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if the file is not a vocabulary, or its two mappings disagree.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such genre vocabulary. Training writes it beside its checkpoints.")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            titles, indices = stored["index_to_genre"], stored["genre_to_index"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a genre vocabulary ({error!r}). Expected JSON with index_to_genre and genre_to_index."
            ) from error
        if indices != {title: index for index, title in enumerate(titles)}:
            raise ValueError(
                f"{path}: genre_to_index is not the inverse of index_to_genre. Train again, or correct the file."
            )
        return cls(titles)

    def write(self, path: Path | str) -> None:
        """Write JSON with a list of titles and a dictionary from title to index."""
        stored = {"index_to_genre": self.titles, "genre_to_index": self._indices}
        with replacing(path) as partial:
            partial.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def __len__(self) -> int:
        return len(self.titles)

    def __contains__(self, title: str) -> bool:
        return title in self._indices

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GenreVocabulary) and self.titles == other.titles

    def __hash__(self) -> int:
        return hash(self.titles)

    def index(self, title: str) -> int:
        """The class of a genre.

        Raises:
            KeyError: if the genre is unknown; lists the known ones.
        """
        if title not in self._indices:
            raise KeyError(
                f"genre {title!r} is unknown; this vocabulary has {', '.join(self.titles)}. Train with a subset that "
                f"contains it, or leave its tracks out."
            )
        return self._indices[title]

    def title(self, index: int) -> str:
        """The genre of a class.

        Raises:
            IndexError: if there is no such class.
        """
        if not 0 <= index < len(self.titles):
            raise IndexError(f"class {index} is outside 0 ... {len(self.titles) - 1}.")
        return self.titles[index]

    def encode(self, titles: Sequence[str]) -> int:
        """Encode a single-label track as its class.

        Raises:
            ValueError: if the track does not have exactly one genre.
        """
        if len(titles) != 1:
            raise ValueError(f"a track has the genres {list(titles)}, expected one. Set multi_label: true.")
        return self.index(titles[0])

    def classes(self, genres_of_tracks: Iterable[Sequence[str]]) -> np.ndarray:
        """Encode single-label tracks as (tracks,) int64 classes."""
        return np.array([self.encode(titles) for titles in genres_of_tracks], np.int64)

    def multi_hot(self, titles: Iterable[str]) -> np.ndarray:
        """Encode a multi-label track as (genres,) float32: 1 for each of its genres, 0 elsewhere."""
        row = np.zeros(len(self), np.float32)
        row[[self.index(title) for title in titles]] = 1.0
        return row

    def counts(self, genres_of_tracks: Iterable[Sequence[str]]) -> list[int]:
        """Number of tracks per genre."""
        counts = [0] * len(self)
        for titles in genres_of_tracks:
            for title in titles:
                counts[self.index(title)] += 1
        return counts


def check_disjoint(tracks_of_split: Mapping[str, Collection[int | str]]) -> None:
    """Check that no track is in two splits.

    Args:
        tracks_of_split: track ids (or paths) by split name.

    Raises:
        ValueError: names the splits, the number of shared tracks, and the first of them.
    """
    for (first, tracks), (second, others) in combinations(tracks_of_split.items(), 2):
        if both := sorted(set(tracks) & set(others)):
            raise ValueError(
                f"{len(both)} tracks are in {first} and in {second}, the first is {both[0]!r}. Scores on training "
                f"tracks mean nothing: keep each track in one split."
            )


def check_counts(vocabulary: GenreVocabulary, counts: Sequence[int], where: str) -> None:
    """Check that every genre has a training track; otherwise nothing can be learnt about it.

    Args:
        vocabulary: the genres.
        counts: training tracks per genre.
        where: source of the tracks, for the error message.

    Raises:
        ValueError: names the genres without training tracks.
    """
    if empty := [title for title, count in zip(vocabulary.titles, counts, strict=True) if not count]:
        raise ValueError(
            f"{where}: {len(empty)} of {len(vocabulary)} genres have no training track: {', '.join(empty)}. Expected "
            f"at least one each. Choose a larger subset, or leave these genres out."
        )
