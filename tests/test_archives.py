"""Archives come back as they were saved, and damaged ones are refused with what they should be and how to make one."""

import json
from pathlib import Path

import numpy as np
import pytest

from mert_fairseq.archives import load_npz, save_npz

ABOUT = {"seed": 1, "kind": "x"}
ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b": np.arange(5)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_npz(tmp_path / "t.npz", "about", ABOUT, ARRAYS)
    return tmp_path / "t.npz"


def load(path: Path) -> tuple:
    return load_npz(path, "about", ("a", "b"), "widget", "Make one.")


def test_what_was_saved_is_loaded(path: Path) -> None:
    about, arrays = load(path)
    assert about == ABOUT
    assert list(arrays) == ["a", "b"]
    np.testing.assert_array_equal(arrays["a"], ARRAYS["a"])


def test_the_same_content_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "again.npz", "about", dict(reversed(ABOUT.items())), ARRAYS)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none.npz: no such widget. Make one."):
        load(tmp_path / "none.npz")


def flip(data: bytes) -> bytes:
    """Change the numbers of an array, whose checksum is then another."""
    place = data.index(np.float64(5).tobytes())
    return data[:place] + b"\xff" + data[place + 1 :]


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"text", lambda data: data[:-9], flip])
def test_a_damaged_file_is_refused(path: Path, damage) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"t.npz: cannot be read as a widget \(.*\). Make one."):
        load(path)


def test_damaged_compression_is_refused(path: Path) -> None:
    np.savez_compressed(path, about=np.array(json.dumps(ABOUT)), a=np.random.default_rng(0).random(999), b=1)
    data = bytearray(path.read_bytes())
    data[1000:1100] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read as a widget"):
        load(path)


@pytest.mark.parametrize("about", [np.array([{"a": 1}], dtype=object), np.array("[1]"), np.array("{"), np.zeros(3)])
def test_what_is_no_json_object_is_refused(path: Path, about: np.ndarray) -> None:
    np.savez(path, about=about, **ARRAYS)
    with pytest.raises(ValueError, match="cannot be read as a widget"):
        load(path)


def test_a_single_array_and_a_lacking_name_are_refused(path: Path) -> None:
    np.savez(path, about=np.array("{}"), a=1)
    with pytest.raises(ValueError, match=r"cannot be read as a widget \(.*b"):
        load(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match="cannot be read as a widget"):
        load(path)
