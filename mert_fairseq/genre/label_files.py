"""Genre labels of manifests: a line of genre ids a track, as prepare_fma.py and label_genres.py write them."""

from collections.abc import Sequence
from pathlib import Path

from mert_fairseq.labels import LabelDictionary

TITLES_FILE = "genres.tsv"
MADE_BY = "Make it with preprocess/prepare_fma.py (the FMA) or preprocess/label_genres.py (any music with a table)."


class GenreLabelError(ValueError):
    """Genre labels that are missing, or do not fit the tracks or each other; the message says where."""


class GenreLabels:
    """The label files of one folder.

    Args:
        folder: of ``{split}.{label}``, ``dict.{label}.txt`` and ``genres.tsv``.
        label: such as genre_top, genres or genres_all.

    Raises:
        GenreLabelError: if the dictionary or the titles are missing, or do not fit.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder, self.label = folder, label
        titles = _read_titles(folder / TITLES_FILE)
        ids = LabelDictionary.read(folder / f"dict.{label}.txt").symbols
        if unnamed := [genre for genre in ids if genre not in titles]:
            raise GenreLabelError(
                f"{folder / TITLES_FILE}: lacks {len(unnamed)} genres of dict.{label}.txt, the first is {unnamed[0]}. "
                f"The two are not of one set: make both again."
            )
        self._title_of_id = {genre: titles[genre] for genre in ids}

    @property
    def titles(self) -> list[str]:
        """Of all genres that may occur."""
        return list(self._title_of_id.values())

    def read(self, split: str, tracks: int) -> list[list[str]]:
        """Titles of the genres of each track of a split, in the manifest's order; a track may have none.

        Raises:
            GenreLabelError: if the file is missing, has not ``tracks`` lines, or holds a genre of no title.
        """
        path = self.folder / f"{split}.{self.label}"
        if not path.is_file():
            raise GenreLabelError(f"{path}: no such genre labels. {MADE_BY} Or correct task.label.")
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) != tracks:
            raise GenreLabelError(
                f"{path}: found {len(lines)} lines, expected {tracks}, one for each track of {split}.tsv. The labels "
                f"are of another manifest: make both again."
            )
        return [self._titles_of(line.split(), path, number) for number, line in enumerate(lines, start=1)]

    def _titles_of(self, genres: Sequence[str], path: Path, number: int) -> list[str]:
        if unknown := [genre for genre in genres if genre not in self._title_of_id]:
            raise GenreLabelError(
                f"{path}:{number}: found the genre {unknown[0]!r}, expected one of the {len(self._title_of_id)} in "
                f"dict.{self.label}.txt. Labels and dictionary are not of one set: make both again."
            )
        return [self._title_of_id[genre] for genre in genres]


def _read_titles(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise GenreLabelError(f"{path}: no such table of genres. {MADE_BY} Or correct task.label_dir.")
    titles: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        genre, *cells = line.split("\t")
        if not (genre and cells and cells[0]):
            raise GenreLabelError(f"{path}:{number}: found {line!r}, expected a genre id, a tab and a title.")
        titles[genre] = cells[0]
    return titles
