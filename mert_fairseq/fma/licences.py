"""The licence of each track: what the artist wrote into ``("track", "license")``, read into what it allows.

The column holds some hundred spellings of a dozen licences ("Attribution-Noncommercial-Share Alike 3.0 United States").
What is not understood is taken to allow nothing.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

CONDITIONS = ("derivatives", "commercial")  # what a user may require of a licence


class Licence(NamedTuple):
    """A licence in short, and what it lets others do with the audio."""

    code: str  # "CC BY-NC-SA", "CC0", "FMA-Limited", "unknown", ...
    version: str  # "3.0", or empty
    derivatives: bool  # may be changed and the result passed on
    commercial: bool  # may be used for money
    share_alike: bool  # derivatives must carry the same licence

    def refuses(self, conditions: Collection[str]) -> str:
        """Why the licence does not meet the conditions, of :data:`CONDITIONS`; empty if it does."""
        for condition in conditions:
            if condition not in CONDITIONS:
                raise ValueError(f"licence condition {condition!r} is unknown; choose from {', '.join(CONDITIONS)}.")
        missing = [condition for condition in conditions if not getattr(self, condition)]
        return f"licence {self.code} does not allow {' and '.join(missing)} use" if missing else ""


# Works that nobody holds rights in, and licences outside the scheme of attribution. The first match counts.
_OTHERS: list[tuple[str, Licence]] = [
    (r"cc0|zero", Licence("CC0", "", True, True, False)),
    (r"public domain", Licence("public domain", "", True, True, False)),
    (r"free art|art libre", Licence("Free Art", "", True, True, True)),
    (r"sampling", Licence("CC Sampling Plus", "", True, False, False)),  # parts may be sold, the whole may not
    (r"fma.?limited", Licence("FMA-Limited", "", False, False, False)),
    (r"orphan", Licence("orphan work", "", False, False, False)),
]


def parse_licence(text: object) -> Licence:
    """Read a licence's name as FMA writes it.

    Args:
        text: a cell of ``("track", "license")``; NaN or empty where the artist gave none.

    Returns:
        Its short form. Code "none" without a licence, "unknown" for a name that is not understood: both allow nothing.
    """
    if not isinstance(text, str) or not text.strip():
        return Licence("none", "", False, False, False)
    plain = re.sub(r"[\s_-]+", " ", text.lower())
    match = re.search(r"\b(\d\.\d)\b", plain)
    version = match[1] if match else ""
    for pattern, licence in _OTHERS:
        if re.search(pattern, plain):
            return licence._replace(version=version)
    if not re.search(r"\battribution\b|\bby\b", plain):
        return Licence("unknown", version, False, False, False)
    commercial = not re.search(r"non ?commercial|\bnc\b", plain)
    derivatives = not re.search(r"no ?deriv|\bnd\b", plain)
    share_alike = bool(re.search(r"share ?alike|\bsa\b", plain))
    parts = ["BY"] + ["NC"] * (not commercial) + ["ND"] * (not derivatives) + ["SA"] * share_alike
    return Licence(f"CC {'-'.join(parts)}", version, derivatives, commercial, share_alike)
