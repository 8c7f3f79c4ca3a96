"""Tracks with equal audio: one is kept, the others become rejects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mert_fairseq.preprocessing.examine_track import Track
from mert_fairseq.preprocessing.integrity.reasons import Reason


def path_of(track: Track) -> str:
    """The default order: the track with the lowest path is kept."""
    return track.source.path


def reject_duplicates(
    tracks: list[Track],
    order: Callable[[Track], Any] = path_of,
    describe: Callable[[str], str] = lambda path: path,
) -> list[Track]:
    """Give all but one of the tracks with equal audio the reason DUPLICATE; the list keeps its order.

    Args:
        tracks: examined; rejects stay as they are.
        order: the track that comes first in this order is kept.
        describe: the kept track in the detail of a reject, from its path.
    """
    kept: dict[str, str] = {}
    for track in sorted(tracks, key=order):
        if track.reason is None:
            kept.setdefault(track.digest, track.source.path)
    return [
        replace(track, reason=Reason.DUPLICATE, detail=f"the same audio as {describe(kept[track.digest])}")
        if track.reason is None and kept[track.digest] != track.source.path
        else track
        for track in tracks
    ]
