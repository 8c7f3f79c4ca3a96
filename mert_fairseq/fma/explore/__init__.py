"""An HTML report about FMA with figures (needs matplotlib and seaborn)."""

from mert_fairseq.fma.explore.fma_report import explore

__all__ = ["explore"]
