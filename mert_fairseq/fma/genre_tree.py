"""The genre hierarchy of genres.csv: roots, parents, children and the path from a root to a genre."""

import pandas as pd


class GenreTree:
    """Genres by id, each below its parent; 16 roots in the published table.

    Args:
        genres: the table of :func:`mert_fairseq.fma.tables.load_genres`.

    Raises:
        ValueError: if a parent is missing, the parents form a cycle, or ``top_level`` is not the root found through
            the parents; names the genre.
    """

    def __init__(self, genres: pd.DataFrame) -> None:
        self.titles: dict[int, str] = {int(genre): str(title) for genre, title in genres["title"].items()}
        self.parents: dict[int, int] = {int(genre): int(parent) for genre, parent in genres["parent"].items()}
        self._children: dict[int, list[int]] = {genre: [] for genre in (0, *self.titles)}
        for genre, parent in self.parents.items():
            if parent not in self._children:
                raise ValueError(
                    f"genres.csv: genre {genre} ({self.titles[genre]}) has parent {parent}, which is not a genre."
                )
            self._children[parent].append(genre)
        self._paths = {genre: self._climb(genre) for genre in self.titles}
        for genre, root in genres["top_level"].items():
            if root != self._paths[int(genre)][0]:
                raise ValueError(
                    f"genres.csv: genre {genre} ({self.titles[int(genre)]}) has top_level {root}, but its parents lead "
                    f"to {self._paths[int(genre)][0]}. Unpack the file again, or correct the line."
                )

    def __contains__(self, genre: int) -> bool:
        return genre in self.titles

    def __len__(self) -> int:
        return len(self.titles)

    def _climb(self, genre: int) -> tuple[int, ...]:
        path: list[int] = []
        while genre != 0:
            if genre in path:
                raise ValueError(f"genres.csv: genres {path} are each other's parents.")
            path.append(genre)
            genre = self.parents[genre]
        return tuple(reversed(path))

    def path(self, genre: int) -> tuple[int, ...]:
        """Genres from the root down to this genre, both included: (12, 25, 109) for Rock > Punk > Hardcore."""
        if genre not in self._paths:
            raise KeyError(f"genre {genre} is not in genres.csv, which has {len(self)} genres.")
        return self._paths[genre]

    def root(self, genre: int) -> int:
        """The top-level genre above a genre. The root of a root is itself."""
        return self.path(genre)[0]

    def children(self, genre: int = 0) -> tuple[int, ...]:
        """Genres directly below, in the order of the table. Without an argument: the roots."""
        if genre not in self._children:
            raise KeyError(f"genre {genre} is not in genres.csv, which has {len(self)} genres.")
        return tuple(self._children[genre])

    @property
    def roots(self) -> tuple[int, ...]:
        """The top-level genres, in the order of the table."""
        return self.children(0)

    def descendants(self, genre: int) -> tuple[int, ...]:
        """All genres below a genre, depth first, without the genre itself."""
        return tuple(below for child in self.children(genre) for below in (child, *self.descendants(child)))

    def title_path(self, genre: int) -> str:
        """The path by titles: "Rock > Punk > Hardcore"."""
        return " > ".join(self.titles[above] for above in self.path(genre))
