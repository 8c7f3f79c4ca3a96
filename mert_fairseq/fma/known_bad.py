"""Tracks whose published audio is known to be broken, with the reason."""

NO_AUDIO = "no audio in the file"
TOO_SHORT = "far too short"
WRONG_CUT = "wrong cut (issue 8 of the data set's tracker)"

_NO_AUDIO = (99134, 108925, 133297)
_TOO_SHORT = (98565, 98567, 98569)
_WRONG_CUT = (
    *(1486, 5574, 65753, 80391, 98558, 98559, 98560, 98565, 98566, 98567, 98568, 98569, 98571, 99134),
    *(105247, 108924, 108925, 126981, 127336, 133297, 143992),
)
_WRONG_CUT_IN_LARGE = (2624,)  # only in the clips of fma_large


def known_bad(archive: str = "large") -> dict[int, str]:
    """Tracks to leave out, each with its reasons joined by "; ".

    Args:
        archive: which audio is used: small, medium, large or full.
    """
    if archive not in ("small", "medium", "large", "full"):
        raise ValueError(f"archive {archive!r} is unknown; choose small, medium, large or full.")
    reasons: dict[int, list[str]] = {}
    cut = (*_WRONG_CUT, *_WRONG_CUT_IN_LARGE) if archive == "large" else _WRONG_CUT
    for reason, tracks in ((NO_AUDIO, _NO_AUDIO), (TOO_SHORT, _TOO_SHORT), (WRONG_CUT, cut)):
        for track in tracks:
            reasons.setdefault(track, []).append(reason)
    return {track: "; ".join(reasons[track]) for track in sorted(reasons)}
