"""The data check: what is wrong with a data folder, said with the remedy before GPU hours are spent on it."""

from mert_fairseq.preprocessing.checks.findings import Finding, Level, Options, Report
from mert_fairseq.preprocessing.checks.run_checks import check_data

__all__ = ["Finding", "Level", "Options", "Report", "check_data"]
