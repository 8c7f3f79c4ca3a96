"""What must hold of training, validation and test tracks before a score means anything."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

from mert_fairseq.genre.vocabulary import GenreVocabulary


def check_disjoint(tracks_of_split: Mapping[str, Collection[int | str]]) -> None:
    """Refuse a track that is in two splits.

    Args:
        tracks_of_split: track ids (or paths) by the name of their split.

    Raises:
        ValueError: naming the splits, how many tracks they share, and the first.
    """
    for (first, tracks), (second, others) in combinations(tracks_of_split.items(), 2):
        if both := sorted(set(tracks) & set(others)):
            raise ValueError(
                f"{len(both)} tracks are in {first} and in {second}, the first is {both[0]!r}. Scores on tracks that "
                f"were trained on mean nothing: keep each track in one split."
            )


def check_counts(vocabulary: GenreVocabulary, counts: Sequence[int], where: str) -> None:
    """Refuse a genre without a training track: nothing could be learnt of it.

    Args:
        vocabulary: the genres.
        counts: training tracks of each.
        where: the tracks were found, for the message.

    Raises:
        ValueError: naming the empty genres.
    """
    if empty := [title for title, count in zip(vocabulary.titles, counts, strict=True) if not count]:
        raise ValueError(
            f"{where}: {len(empty)} of {len(vocabulary)} genres have no training track: {', '.join(empty)}. Expected "
            f"at least one each. Choose a larger subset, or leave these genres out."
        )
