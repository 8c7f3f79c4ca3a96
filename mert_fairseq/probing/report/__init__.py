"""The report of a task: one page with all models side by side, its pictures, and the numbers as CSV and JSON."""

from mert_fairseq.probing.report.probe_pages import write_reports

__all__ = ["write_reports"]
