"""The exploration of FMA: an HTML report with pictures (needs matplotlib and seaborn)."""

from mert_fairseq.fma.explore.report import explore

__all__ = ["explore"]
