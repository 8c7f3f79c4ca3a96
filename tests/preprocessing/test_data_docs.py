"""docs/data.md lists every word that the tools print."""

import re
from pathlib import Path

from mert_fairseq.preprocessing.checks.findings import MEANINGS
from mert_fairseq.preprocessing.reject_reasons import REMEDIES, Reason


def rows_of(text: str, heading: str) -> dict[str, str]:
    """First and last cell of each row of the table below a heading."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \|.*?([^|]*) \|$", section, re.MULTILINE))


def test_every_reason_is_listed_with_its_remedy(repo_root: Path) -> None:
    rows = rows_of((repo_root / "docs" / "data.md").read_text(), "Reasons in rejects.tsv")
    assert rows.keys() == {str(reason) for reason in Reason}
    assert {word: row.strip() for word, row in rows.items()} == {str(word): text for word, text in REMEDIES.items()}


def test_every_finding_is_listed_with_its_meaning(repo_root: Path) -> None:
    rows = rows_of((repo_root / "docs" / "data.md").read_text(), "Findings of mert-check-data")
    assert {word: row.strip() for word, row in rows.items()} == MEANINGS


def test_every_finding_is_put_to_the_test(repo_root: Path) -> None:
    tests = (repo_root / "tests" / "preprocessing" / "test_check_data.py").read_text()
    assert [word for word in MEANINGS if f'"{word}"' not in tests] == []
