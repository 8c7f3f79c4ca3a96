"""The report of a task: one page that compares all models, its pictures, and the numbers as CSV and JSON."""

from mert_fairseq.probing.report.probe_pages import write_reports

__all__ = ["write_reports"]
