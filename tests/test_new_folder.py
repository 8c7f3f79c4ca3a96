"""Folders that appear under their name only when they are whole."""

import pytest

from mert_fairseq.files import new_folder


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path):
    with new_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a").read_text() == "1"


def test_a_failure_leaves_nothing(tmp_path):
    def fill():
        with new_folder(tmp_path / "out") as partial:
            (partial / "a").write_text("1")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fill()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_replaced(tmp_path):
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / "old").write_text("1")
    with new_folder(tmp_path / "out"):
        pass
    assert not list((tmp_path / "out").iterdir())


def test_content_is_never_overwritten_but_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("1")
    with pytest.raises(FileExistsError, match="exists already"), new_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "a").read_text() == "1"
