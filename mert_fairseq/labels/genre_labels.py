"""Genre labels: one line of genre ids per track, one dictionary per label, and a table of genre titles.

genres/{split}.{label}     genre ids separated by blanks, in the manifest's order; an empty line for no genre
genres/dict.{label}.txt    "id count" lines; in the order of the classes
genres/genres.tsv          genre_id, title, root, path (titles from the root to the genre)
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mert_fairseq.files import write_lines
from mert_fairseq.labels.dictionary import LabelDictionary

GENRES_DIR = "genres"  # separate from frame labels, whose number depends on the label rate
TITLES_FILE = "genres.tsv"
TITLE_COLUMNS = ("genre_id", "title", "root", "path")
MADE_BY = "Make it with preprocess/prepare_fma.py (the FMA) or preprocess/label_genres.py (any music with a table)."


def write_genre_labels(
    folder: Path,
    label: str,
    genres_of_split: Mapping[str, Sequence[Sequence[int]]],
    dictionary: Iterable[int] | None = None,
) -> None:
    """Write ``{split}.{label}`` and ``dict.{label}.txt``.

    Args:
        folder: to write to; created if needed.
        label: such as genre_top.
        genres_of_split: for each split the genre ids of its tracks, in the manifest's order.
        dictionary: ids to list in the dictionary, in this order; by default those that occur, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[int] = Counter()
    for split, tracks in genres_of_split.items():
        write_lines(folder / f"{split}.{label}", [" ".join(map(str, genres)) for genres in tracks])
        counts.update(genre for genres in tracks for genre in genres)
    listed = sorted(counts) if dictionary is None else dictionary
    write_lines(folder / f"dict.{label}.txt", [f"{genre} {counts[genre]}" for genre in listed])


def write_titles(folder: Path, rows: Iterable[tuple[int, str, int, str]]) -> None:
    """Write genres.tsv from rows of genre id, title, id of the root genre and path of titles."""
    lines = ["\t".join(map(str, row)) for row in rows]
    write_lines(folder / TITLES_FILE, ["\t".join(TITLE_COLUMNS), *lines])


class GenreLabelError(ValueError):
    """Genre labels that are missing, or do not match the tracks or each other; the message says where."""


class GenreLabels:
    """One genre label of a folder.

    Args:
        folder: of ``{split}.{label}``, ``dict.{label}.txt`` and ``genres.tsv``.
        label: such as genre_top, genres or genres_all.

    Raises:
        GenreLabelError: if the dictionary or the titles are missing, or do not match.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self.folder, self.label = folder, label
        titles = _read_titles(folder / TITLES_FILE)
        ids = LabelDictionary.read(folder / f"dict.{label}.txt").symbols
        if unnamed := [genre for genre in ids if genre not in titles]:
            raise GenreLabelError(
                f"{folder / TITLES_FILE}: lacks {len(unnamed)} genres of dict.{label}.txt, the first is {unnamed[0]}. "
                f"The two files do not belong together: make both again."
            )
        self._title_of_id = {genre: titles[genre] for genre in ids}

    @property
    def titles(self) -> list[str]:
        """Titles of all genres in the dictionary, in class order."""
        return list(self._title_of_id.values())

    def read(self, split: str, tracks: int) -> list[list[str]]:
        """Read the genre titles of each track of a split, in the manifest's order; a track may have none.

        Raises:
            GenreLabelError: if the file is missing, has more or fewer lines than ``tracks``, or an unknown genre.
        """
        path = self.folder / f"{split}.{self.label}"
        if not path.is_file():
            raise GenreLabelError(f"{path}: no such genre labels. {MADE_BY} Or correct task.label.")
        lines = path.read_text(encoding="utf-8").splitlines()
        if len(lines) != tracks:
            raise GenreLabelError(
                f"{path}: found {len(lines)} lines, expected {tracks}, one for each track of {split}.tsv. The labels "
                f"belong to another manifest: make both again."
            )
        return [self._titles_of(line.split(), path, number) for number, line in enumerate(lines, start=1)]

    def _titles_of(self, genres: Sequence[str], path: Path, number: int) -> list[str]:
        if unknown := [genre for genre in genres if genre not in self._title_of_id]:
            raise GenreLabelError(
                f"{path}:{number}: found the genre {unknown[0]!r}, expected one of the {len(self._title_of_id)} in "
                f"dict.{self.label}.txt. Labels and dictionary do not belong together: make both again."
            )
        return [self._title_of_id[genre] for genre in genres]


def _read_titles(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise GenreLabelError(f"{path}: no such table of genres. {MADE_BY} Or correct task.label_dir.")
    titles: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:], start=2):
        genre, *cells = line.split("\t")
        if not (genre and cells and cells[0]):
            raise GenreLabelError(f"{path}:{number}: found {line!r}, expected a genre id, a tab and a title. {MADE_BY}")
        titles[genre] = cells[0]
    return titles
