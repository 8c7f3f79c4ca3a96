"""The report of a task: one page with all models side by side, its pictures, and the numbers as CSV and JSON."""

from mert_fairseq.probing.report.page import write_reports

__all__ = ["write_reports"]
