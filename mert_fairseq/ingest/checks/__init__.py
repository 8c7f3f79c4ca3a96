"""The data check: what is wrong with a data folder, said with the remedy before GPU hours are spent on it."""

from mert_fairseq.ingest.checks.check import check_data
from mert_fairseq.ingest.checks.findings import Finding, Level, Options, Report

__all__ = ["Finding", "Level", "Options", "Report", "check_data"]
