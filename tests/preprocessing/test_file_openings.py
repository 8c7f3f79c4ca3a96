"""How often an examination opens a file: once in Python, and once in libsndfile."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from music_files import SUBTYPES, make_music

from mert_fairseq.audio.decoder import Decoder
from mert_fairseq.preprocessing.examine_track import Settings, examine
from mert_fairseq.preprocessing.scan import scan_folder


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of openings of each file name, counted at `io.open` and at the decoder."""
    counts: Counter[str] = Counter()
    open_file, open_sound = io.open, Decoder.__init__

    def counted_open(file: Any, *arguments: Any, **options: Any) -> Any:
        counts[Path(file).name if isinstance(file, str | Path) else ""] += 1
        return open_file(file, *arguments, **options)

    def counted_sound(self: Decoder, file: Any, *arguments: Any, **options: Any) -> None:
        counts[Path(file.decode()).name if isinstance(file, bytes) else ""] += 1
        open_sound(self, file, *arguments, **options)

    monkeypatch.setattr(io, "open", counted_open)
    monkeypatch.setattr(Decoder, "__init__", counted_sound)
    return counts


def examined(folder: Path) -> str | None:
    (source,) = scan_folder(folder).sources
    return examine((source, None), Settings(folder, sample_rate=44_100)).reason


@pytest.mark.parametrize("suffix", list(SUBTYPES))
def test_a_file_is_opened_twice_per_examination(tmp_path: Path, openings: Counter[str], suffix: str) -> None:
    path = make_music(tmp_path / f"a{suffix}")
    openings.clear()
    examined(tmp_path)
    assert openings[path.name] == 2


def test_an_mp3_without_a_stated_length_is_opened_twice_too(tmp_path: Path, openings: Counter[str]) -> None:
    path = make_music(tmp_path / "a.mp3")
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"\xff\xfb", 200) :])  # without the frame that states the length
    openings.clear()
    assert examined(tmp_path) is None
    assert openings[path.name] == 2
    assert openings[""] == 1  # the decoder of the bytes with a stated length


def test_a_file_of_the_wrong_type_is_opened_once(tmp_path: Path, openings: Counter[str]) -> None:
    (tmp_path / "a.mp3").write_bytes(b"%PDF-1.7 and more")
    openings.clear()
    assert examined(tmp_path) == "wrong_extension"
    assert openings["a.mp3"] == 1
