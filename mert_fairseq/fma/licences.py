"""Parse the licence of each track, a free text in ``("track", "license")``, into what it allows.

The column has about a hundred spellings of a dozen licences, such as "Attribution-Noncommercial-Share Alike 3.0 United
States". An unknown text is treated as allowing nothing.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

CONDITIONS = ("derivatives", "commercial")  # uses that a user may require a licence to allow


class Licence(NamedTuple):
    """The short name of a licence, and what it allows."""

    code: str  # "CC BY-NC-SA", "CC0", "FMA-Limited", "unknown", ...
    version: str  # "3.0", or empty
    derivatives: bool  # allows sharing modified versions
    commercial: bool  # allows commercial use
    share_alike: bool  # modified versions need the same licence

    def reject_reason(self, conditions: Collection[str]) -> str:
        """Why the licence does not meet some of :data:`CONDITIONS`; empty if it meets them.

        Raises:
            ValueError: if a condition is unknown.
        """
        for condition in conditions:
            if condition not in CONDITIONS:
                raise ValueError(f"licence condition {condition!r} is unknown; choose from {', '.join(CONDITIONS)}.")
        missing = [condition for condition in conditions if not getattr(self, condition)]
        return f"licence {self.code} does not allow {' and '.join(missing)} use" if missing else ""


# Public domain, and licences other than Creative Commons Attribution. The first match wins.
_OTHERS: list[tuple[str, Licence]] = [
    (r"cc0|zero", Licence("CC0", "", True, True, False)),
    (r"public domain", Licence("public domain", "", True, True, False)),
    (r"free art|art libre", Licence("Free Art", "", True, True, True)),
    (r"sampling", Licence("CC Sampling Plus", "", True, False, False)),  # only samples may be sold
    (r"fma.?limited", Licence("FMA-Limited", "", False, False, False)),
    (r"orphan", Licence("orphan work", "", False, False, False)),
]


def parse_licence(text: object) -> Licence:
    """Parse the name of a licence as FMA writes it.

    Args:
        text: a cell of ``("track", "license")``; NaN or empty if there is no licence.

    Returns:
        The licence. Its code is "none" without a licence and "unknown" for an unknown name; both allow nothing.
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
