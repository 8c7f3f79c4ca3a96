"""Parts of a label job and their journals."""

from pathlib import Path

import numpy as np
import pytest

from mert_fairseq.label_extraction.part_journal import JournalEntry, Part, journal_header, read_journal
from mert_fairseq.label_extraction.part_store import part_base


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_every_track_is_in_one_part(count: int) -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 40)
    tracks = [track for index in range(count) for track in Part(index, count).tracks(samples)]
    assert tracks == list(range(40))


def test_parts_hold_about_the_same_amount_of_audio() -> None:
    samples = np.random.default_rng(0).integers(1, 1000, 4000)
    sizes = [samples[Part(index, 8).tracks(samples)].sum() for index in range(8)]
    assert max(sizes) - min(sizes) <= 1000


def test_an_empty_manifest_has_empty_parts() -> None:
    assert list(Part(0, 2).tracks(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize("text", ["2/2", "-1/2", "1", "a/b", "1/0", "0/-1"])
def test_an_impossible_part_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected i/n with i from 0 to n - 1"):
        Part.parse(text)


def test_a_part_is_parsed_from_its_text() -> None:
    assert Part.parse("3/16") == Part(3, 16)
    assert str(Part(3, 16)) == "3/16"


def test_journals_of_earlier_versions_stay_readable(tmp_path: Path) -> None:
    part, teacher = Part(0, 2), {"teacher": "k-means", "sha256": "00"}
    header = (
        '{"format": "mert_fairseq label journal", "shard": "0/2", "teacher": {"sha256": "00", "teacher": "k-means"}, '
        '"version": 2}'
    )
    path = part_base(tmp_path, part).with_suffix(".journal")
    assert path.name == "shard-0-of-2.journal"
    assert journal_header(teacher, part) == header
    path.write_text(f'{header}\n["a.wav\\t8000", 0, 50, 7]\n["b.wav\\t9", "no audio"]\n["c.wav')
    entries, complete_bytes = read_journal(path, header)
    assert entries == {
        "a.wav\t8000": JournalEntry("a.wav\t8000", 0, 50, 7),
        "b.wav\t9": JournalEntry("b.wav\t9", reject_reason="no audio"),
    }
    assert complete_bytes == path.stat().st_size - len('["c.wav')
