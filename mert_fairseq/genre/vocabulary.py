"""Which genre is which class."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing


class GenreVocabulary:
    """Genre titles and their indices, both ways.

        vocabulary = GenreVocabulary(["Folk", "Rock"])
        vocabulary.index("Rock"), vocabulary.title(1), len(vocabulary)

    Args:
        titles: in the order of the model's outputs.

    Raises:
        ValueError: if there are fewer than two, or one stands twice.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = tuple(titles)
        self._indices = {title: index for index, title in enumerate(self.titles)}
        if len(self.titles) < 2:
            raise ValueError(f"the genres are {list(titles)}: a classifier needs at least two. Choose another subset.")
        if len(self._indices) < len(self.titles):
            twice = next(title for title in self.titles if self.titles.count(title) > 1)
            raise ValueError(f"genre {twice!r} stands twice in {list(titles)}; give each genre a title of its own.")

    @classmethod
    def of(cls, titles: Iterable[str]) -> "GenreVocabulary":
        """The distinct titles, in the order of the alphabet, so that the order of tracks does not matter."""
        return cls(sorted(set(titles)))

    @classmethod
    def read(cls, path: Path | str) -> "GenreVocabulary":
        """Read what :meth:`write` wrote.

        Raises:
            FileNotFoundError: if it is not there.
            ValueError: if it is no such file, or its two directions disagree.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such genre vocabulary. The training writes it beside its checkpoints.")
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            titles, indices = stored["index_to_genre"], stored["genre_to_index"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: no genre vocabulary ({error!r}). Expected JSON with index_to_genre and genre_to_index."
            ) from error
        if indices != {title: index for index, title in enumerate(titles)}:
            raise ValueError(f"{path}: genre_to_index is not the inverse of index_to_genre. Train again, or mend it.")
        return cls(titles)

    def write(self, path: Path | str) -> None:
        """Write as JSON: a list of titles, and a dictionary from title to index."""
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
            KeyError: if the genre is unknown; lists what there is.
        """
        if title not in self._indices:
            raise KeyError(
                f"genre {title!r} is unknown; this vocabulary has {', '.join(self.titles)}. Train with a subset that "
                f"holds it, or leave its tracks out."
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

    def one_of(self, titles: Sequence[str]) -> int:
        """The class of a track that has exactly one genre.

        Raises:
            ValueError: if it has none or several.
        """
        if len(titles) != 1:
            raise ValueError(f"a track has the genres {list(titles)}, expected one. Set multi_label: true.")
        return self.index(titles[0])

    def classes(self, genres_of_tracks: Iterable[Sequence[str]]) -> np.ndarray:
        """(tracks,) int64 classes of tracks that have one genre each."""
        return np.array([self.one_of(titles) for titles in genres_of_tracks], np.int64)

    def several_hot(self, titles: Iterable[str]) -> np.ndarray:
        """(genres,) float32: 1 for each genre of a track, 0 elsewhere."""
        row = np.zeros(len(self), np.float32)
        row[[self.index(title) for title in titles]] = 1.0
        return row

    def counts(self, genres_of_tracks: Iterable[Sequence[str]]) -> list[int]:
        """Tracks of each genre."""
        counts = [0] * len(self)
        for titles in genres_of_tracks:
            for title in titles:
                counts[self.index(title)] += 1
        return counts
