"""The search: what is found, what is named, and that links cannot trap it."""

import os
from pathlib import Path

import pytest
from music_files import make_music

from mert_fairseq.preprocessing.scan import scan_folder


def found(folder: Path, *skip: Path) -> list[str]:
    return [source.path for source in scan_folder(folder, skip).sources]


def rejected(folder: Path) -> dict[str, str]:
    return {reject.path: str(reject.reason) for reject in scan_folder(folder).rejects}


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_audio_is_found_at_any_depth_by_any_case_in_the_order_of_paths(tmp_path: Path) -> None:
    for name in ("b.MP3", "a/z/1.flac", "a/0.ogg", "a b/ü.opus", "cover.jpg", "a/list.m3u"):
        touch(tmp_path / name)
    scan = scan_folder(tmp_path)
    assert [source.path for source in scan.sources] == ["a b/ü.opus", "a/0.ogg", "a/z/1.flac", "b.MP3"]
    assert scan.other_files == 2
    assert scan.rejects == []


def test_audio_without_an_audio_name_is_found_by_its_content(tmp_path: Path) -> None:
    make_music(tmp_path / "a.ogg").rename(tmp_path / "no_extension")
    assert found(tmp_path) == ["no_extension"]


def test_logs_pictures_and_videos_are_other_files(tmp_path: Path) -> None:
    (tmp_path / "rip.log").write_text("\ufeffExact Audio Copy", encoding="utf-16-le")
    (tmp_path / "cover.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "film.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(40))
    (tmp_path / "song.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(40))
    scan = scan_folder(tmp_path)
    assert [source.path for source in scan.sources] == ["song.m4a"]
    assert (scan.other_files, scan.rejects) == (3, [])


def test_names_with_tabs_line_ends_and_bad_bytes_are_found(tmp_path: Path) -> None:
    names = [b"a\tb.mp3", b"a\nb.mp3", b"caf\xe9.mp3", b" a.mp3"]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    assert sorted(map(os.fsencode, found(tmp_path))) == sorted(names)


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    touch(tmp_path / "disk2" / "album" / "1.mp3")
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "more").symlink_to(tmp_path / "disk2")
    assert found(tmp_path / "music") == ["more/album/1.mp3"]


def test_a_folder_reached_twice_counts_under_its_real_name(tmp_path: Path) -> None:
    touch(tmp_path / "z_real" / "1.mp3")
    (tmp_path / "a_link").symlink_to(tmp_path / "z_real")
    (tmp_path / "b_link.mp3").symlink_to(tmp_path / "z_real" / "1.mp3")
    assert found(tmp_path) == ["z_real/1.mp3"]
    assert rejected(tmp_path) == {"a_link": "duplicate_link", "b_link.mp3": "duplicate_link"}


def test_loops_and_broken_links_are_named_and_end(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.mp3")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone.mp3").symlink_to("nowhere.mp3")
    (tmp_path / "below_a_file.mp3").symlink_to("a/1.mp3/2.mp3")
    assert found(tmp_path) == ["a/1.mp3"]
    assert rejected(tmp_path) == {
        "a/up": "link_loop",
        "self": "link_loop",
        "gone.mp3": "broken_link",
        "below_a_file.mp3": "broken_link",
    }


def test_a_pipe_with_an_audio_name_is_named_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live.mp3")
    assert rejected(tmp_path) == {"live.mp3": "not_a_file"}


def test_folders_of_our_own_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path / "1.mp3")
    touch(tmp_path / "converted" / "1.flac")
    assert found(tmp_path, tmp_path / "converted", tmp_path / "absent") == ["1.mp3"]


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match=r"nowhere: no such folder of audio"):
        scan_folder(tmp_path / "nowhere")
