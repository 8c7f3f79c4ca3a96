"""Splits by artist: a hash of the name decides, so that the same names give the same split anywhere."""

import hashlib
import re


def sha1_number(text: str) -> int:
    """SHA-1 of UTF-8 text as a whole number."""
    return int(hashlib.sha1(text.encode("utf-8"), usedforsecurity=False).hexdigest(), 16)


def plain_name(artist: str) -> str:
    """Lower case, ASCII letters and blanks only, blanks collapsed."""
    letters = re.sub(r"[^a-z ]", "", artist.lower())
    return re.sub(r" +", " ", letters).strip()
