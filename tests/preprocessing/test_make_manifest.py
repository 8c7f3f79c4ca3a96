"""A folder of music to manifests, through the command: what is written, that it repeats, that it survives a kill."""

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile
from music_files import make_bad_folder, make_music, tone, write_music

from mert_fairseq.manifest import Manifest

Command = Callable[..., tuple[int, str, str]]
# The command needs no fairseq, and starts quicker without.
WITHOUT_FAIRSEQ = """
import runpy, sys
sys.modules["fairseq"] = None
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""
HOLD_LOCK = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""
SMALL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""
TRACKS = [
    *("A/one/1.mp3", "A/one/2.mp3", "A/two/1.ogg", "A/two/2.ogg", "B/one/1.flac", "B/one/2.flac", "B/x/ü 1.opus"),
    *("C/one/1.wav", "C/one/2.wav", "C/two/tab\there.wav"),
]


@pytest.fixture
def make_manifest(repo_root: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: (status, stdout, stderr)."""
    spec = importlib.util.spec_from_file_location("make_manifest", repo_root / "preprocess" / "make_manifest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(*arguments: object) -> tuple[int, str, str]:
        status = module.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten tracks by three artists in five encodings and all common rates, a cover, and every kind of bad file."""
    folder = tmp_path_factory.mktemp("collection")
    for number, name in enumerate(TRACKS):
        make_music(folder / name, 2 + number / 4, (44_100, 48_000, 24_000, 22_050)[number % 4], number)
    (folder / "A" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
    make_bad_folder(folder / "bad")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def read_table(path: Path) -> list[dict[str, str]]:
    header, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_collection_becomes_manifests_whose_audio_is_all_there(
    tmp_path: Path, collection: Path, make_manifest: Command
) -> None:
    out = tmp_path / "out"
    status, line, _ = make_manifest(
        collection, out, "--convert-to", out / "audio", "--valid-fraction", 0.2, "--workers", 2
    )
    assert status == 0
    assert "train 9 tracks" in line
    assert "valid 1 tracks" in line
    assert "1 other files ignored" in line
    names = set()
    for split in ("train", "valid"):
        manifest = Manifest.read(out / f"{split}.tsv")
        assert manifest.root == out / "audio"
        assert manifest.sample_rate == 24_000
        for name, samples in zip(manifest.paths, manifest.samples.tolist(), strict=True):
            info = soundfile.info(out / "audio" / name)
            assert (info.frames, info.samplerate, info.channels, info.subtype) == (samples, 24_000, 1, "PCM_16")
            names.add(name)
    assert "B/x/ü 1.flac" in names
    assert len(names) == 10
    reasons = {row["path"]: row["reason"] for row in read_table(out / "rejects.tsv")}
    assert reasons == {f"bad/{path}": reason for path, reason in make_bad_folder(tmp_path / "again").items()}
    tracks = read_table(out / "tracks.tsv")
    assert {row["path"] for row in tracks} == names
    (renamed,) = [row for row in tracks if "tab" in row["source"]]
    assert renamed["source"] == r"C/two/tab\there.wav"
    assert renamed["path"].startswith("C/two/tab_here-")


def test_an_album_stays_on_one_side(tmp_path: Path, make_manifest: Command) -> None:
    for album in range(6):
        for track in range(3):
            make_music(tmp_path / "music" / f"{album}" / f"{track}.wav", 1, 24_000, 10 * album + track)
    status, _, _ = make_manifest(tmp_path / "music", tmp_path / "out", "--valid-fraction", 0.34, "--workers", 1)
    assert status == 0
    albums = {
        split: {path.split("/")[0] for path in Manifest.read(tmp_path / "out" / f"{split}.tsv").paths}
        for split in ("train", "valid")
    }
    assert len(albums["valid"]) == 2
    assert len(albums["train"]) == 4
    assert not albums["valid"] & albums["train"]


def test_the_number_of_workers_changes_no_byte(tmp_path: Path, collection: Path, make_manifest: Command) -> None:
    made = []
    for workers in (1, 3):
        out = tmp_path / "out"
        arguments = ["--convert-to", out / "audio", "--valid-fraction", 0.2, "--workers", workers]
        assert make_manifest(collection, out, *arguments)[0] == 0
        made.append(contents(out))
        shutil.rmtree(out)
    assert made[0].keys() == made[1].keys()
    assert [name for name in made[0] if made[0][name] != made[1][name]] == []


def test_a_killed_run_resumes_to_the_same_bytes(
    tmp_path: Path, collection: Path, repo_root: Path, make_manifest: Command
) -> None:
    shutil.copytree(collection, tmp_path / "music")
    for number in range(8):
        make_music(tmp_path / "music" / "D" / f"{number}.flac", 10, seed=100 + number)
    out = tmp_path / "out"
    arguments = [tmp_path / "music", out, "--convert-to", out / "audio", "--valid-fraction", "0.2", "--workers", "2"]
    assert make_manifest(*arguments)[0] == 0
    expected = contents(out)
    shutil.rmtree(out)
    script = str(repo_root / "preprocess" / "make_manifest.py")
    command = [sys.executable, "-c", WITHOUT_FAIRSEQ, script, *map(str, arguments)]
    survivors: set[str] = set()
    for finished in (4, 12):  # killed twice, after so many files
        with subprocess.Popen(command, cwd=repo_root, stderr=subprocess.DEVNULL) as run:
            while not (out / "ingest.jsonl").exists() or (out / "ingest.jsonl").read_bytes().count(b"\n") <= finished:
                assert run.poll() is None, "the run ended before it could be killed"
                time.sleep(0.005)
            run.kill()
        assert not (out / "train.tsv").exists()
        survivors = {path.name for path in (out / "audio").rglob("[!.]*.flac")}
        assert survivors
    status, line, _ = make_manifest(*arguments, "--json")
    assert status == 0
    assert json.loads(line)["resumed"] >= 12
    assert contents(out) == expected


def test_a_second_run_does_nothing_again_and_a_changed_file_is_done_again(
    tmp_path: Path, make_manifest: Command
) -> None:
    for number in range(4):
        make_music(tmp_path / "music" / f"{number}.flac", 2, seed=number)
    out = tmp_path / "out"
    arguments = [tmp_path / "music", out, "--convert-to", out / "audio", "--workers", 1, "--json"]
    first = json.loads(make_manifest(*arguments)[1])
    before = contents(out)
    second = json.loads(make_manifest(*arguments)[1])
    assert (first["resumed"], second["resumed"]) == (0, 4)
    assert contents(out) == before
    make_music(tmp_path / "music" / "2.flac", 3, seed=9)
    (out / "audio" / "3.flac").unlink()
    assert json.loads(make_manifest(*arguments)[1])["resumed"] == 2
    assert soundfile.info(out / "audio" / "2.flac").frames == 72_000
    assert (out / "audio" / "3.flac").read_bytes() == before["audio/3.flac"]
    assert (
        json.loads(make_manifest(*arguments, "--min-seconds", 1.5)[1])["resumed"] == 0
    )  # other limits, other verdicts


def test_an_incomplete_line_in_the_journal_loses_one_file(tmp_path: Path, make_manifest: Command) -> None:
    for number in range(3):
        make_music(tmp_path / "music" / f"{number}.flac", 1, 24_000, number)
    arguments = [tmp_path / "music", tmp_path / "out", "--workers", 1, "--valid-fraction", 0.4, "--json"]
    make_manifest(*arguments)
    before = contents(tmp_path / "out")
    journal = tmp_path / "out" / "ingest.jsonl"
    journal.write_bytes(journal.read_bytes()[:-40])
    assert json.loads(make_manifest(*arguments)[1])["resumed"] == 2
    assert contents(tmp_path / "out") == before


def test_equal_audio_is_taken_once_and_its_copy_named(tmp_path: Path, make_manifest: Command) -> None:
    make_music(tmp_path / "music" / "b" / "1.flac", seed=1)
    make_music(tmp_path / "music" / "a" / "2.flac", seed=1)
    make_music(tmp_path / "music" / "a" / "3.wav", seed=2)
    out = tmp_path / "out"
    for resumed in (0, 3):
        status, line, _ = make_manifest(
            tmp_path / "music", out, "--convert-to", out / "audio", "--valid-fraction", 0, "--json"
        )
        assert status == 0
        assert json.loads(line)["resumed"] == resumed
        assert read_table(out / "rejects.tsv") == [
            {"path": "b/1.flac", "reason": "duplicate", "detail": "the same audio as a/2.flac"}
        ]
        assert sorted(path.name for path in (out / "audio").rglob("*.*")) == [
            ".lock",
            ".owner.json",
            "2.flac",
            "3.flac",
        ]
    assert not (out / "valid.tsv").exists()
    shutil.rmtree(tmp_path / "music" / "a")
    assert make_manifest(tmp_path / "music", out, "--convert-to", out / "audio", "--valid-fraction", 0)[0] == 0
    assert list(Manifest.read(out / "train.tsv").paths) == ["b/1.flac"]
    assert (out / "audio" / "b" / "1.flac").exists()


def test_a_split_that_is_empty_now_leaves_no_old_manifest(tmp_path: Path, make_manifest: Command) -> None:
    for number in range(3):
        make_music(tmp_path / "music" / f"{number}.flac", 1, 24_000, number)
    make_manifest(tmp_path / "music", tmp_path / "out", "--valid-fraction", 0.4)
    assert (tmp_path / "out" / "valid.json").exists()
    make_manifest(tmp_path / "music", tmp_path / "out", "--valid-fraction", 0)
    assert not (tmp_path / "out" / "valid.tsv").exists()
    assert not (tmp_path / "out" / "valid.json").exists()


def test_tracks_scaled_down_are_counted_in_the_sidecar(tmp_path: Path, make_manifest: Command) -> None:
    write_music(tmp_path / "music" / "loud.wav", 2 * tone(2, 24_000, peak=1.0), 24_000, "FLOAT")
    write_music(tmp_path / "music" / "soft.wav", tone(2, 24_000), 24_000)
    out = tmp_path / "out"
    _, line, _ = make_manifest(tmp_path / "music", out, "--convert-to", out / "audio", "--valid-fraction", 0)
    assert "1 scaled down to full scale" in line
    settings = json.loads((out / "train.json").read_text())["settings"]
    assert settings["tracks_scaled_down"] == 1
    assert settings["smallest_gain"] == pytest.approx(0.5, abs=0.01)
    (loud,) = [row for row in read_table(out / "tracks.tsv") if float(row["peak"]) > 1]
    assert float(loud["gain"]) * float(loud["peak"]) == pytest.approx(1, abs=1e-4)


def test_nothing_usable_is_an_error_that_counts_why(tmp_path: Path, make_manifest: Command) -> None:
    make_music(tmp_path / "music" / "1.flac")
    make_music(tmp_path / "music" / "2.flac", seed=1)
    status, _, message = make_manifest(tmp_path / "music", tmp_path / "out")
    assert status == 1
    assert "no track is left: 2 sample_rate (not at the training rate; convert with --convert-to DIR" in message
    assert len(read_table(tmp_path / "out" / "rejects.tsv")) == 2


def test_names_that_a_manifest_cannot_hold_are_rejected_without_conversion(
    tmp_path: Path, make_manifest: Command
) -> None:
    for name in (b"fine.wav", b"a\tb.wav", b"a\nb.wav", b"caf\xe9.wav"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/music/" + name))
        make_music(tmp_path / "music" / "x.wav", 1, 24_000, len(name)).rename(path)
    make_manifest(tmp_path / "music", tmp_path / "out", "--valid-fraction", 0)
    assert {row["path"]: row["reason"] for row in read_table(tmp_path / "out" / "rejects.tsv")} == {
        r"a\tb.wav": "unsafe_name",
        r"a\nb.wav": "unsafe_name",
        r"caf\xe9.wav": "unsafe_name",
    }


def test_a_name_and_a_folder_that_are_not_utf_8_are_converted(tmp_path: Path, make_manifest: Command) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xfasica"))
    for number, suffix in enumerate((".wav", ".mp3", ".ogg")):
        make_music(tmp_path / f"x{suffix}", 1, seed=number).rename(tmp_path / "x")
        root.mkdir(exist_ok=True)
        (tmp_path / "x").rename(Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9" + suffix.encode())))
    out = tmp_path / "out"
    status, _, _ = make_manifest(root, out, "--convert-to", out / "audio", "--valid-fraction", 0)
    assert status == 0
    names = Manifest.read(out / "train.tsv").paths
    assert len(names) == 3
    assert all(name.startswith("caf_-") and (out / "audio" / name).is_file() for name in names)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--valid-fraction", 1], r"--valid-fraction is 1, expected"),
        (["--group-by", "artist"], r"--group-by is 'artist', expected"),
        (["--convert-to", "music"], r"is, or contains, the folder of sources"),
        (["--convert-to", "a\tb"], r"a manifest cannot hold the folder's name: it holds a tab or a line end"),
        (["--convert-to", "."], r"is, or contains, the folder of sources"),
    ],
)
def test_wrong_options_are_named_before_any_work(
    tmp_path: Path, make_manifest: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[object], message: str
) -> None:
    (tmp_path / "music").mkdir()
    monkeypatch.chdir(tmp_path)
    status, _, found = make_manifest("music", "out", *arguments)
    assert status == 1
    assert message in found


@pytest.mark.parametrize("argument", ["--workers=0", "--sample-rate=-1", "--format=mp3"])
def test_options_that_cannot_be_end_with_status_2(make_manifest: Command, argument: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        make_manifest("music", "out", argument)


def test_one_folder_alone_asks_how_to_split_it_and_the_second_try_is_quick(
    tmp_path: Path, make_manifest: Command
) -> None:
    for number in range(3):
        make_music(tmp_path / "music" / "album" / f"{number}.flac", 1, 24_000, number)
    status, _, message = make_manifest(tmp_path / "music", tmp_path / "out")
    assert status == 1
    assert "--group-by file" in message
    status, line, _ = make_manifest(tmp_path / "music", tmp_path / "out", "--group-by", "file", "--json")
    assert (status, json.loads(line)["resumed"]) == (0, 3)


def test_converted_files_inside_the_sources_are_not_taken_for_sources(tmp_path: Path, make_manifest: Command) -> None:
    for number in range(2):
        make_music(tmp_path / f"{number}.mp3", 1, seed=number)
    for _ in range(2):
        status, _, _ = make_manifest(
            tmp_path, tmp_path / "out", "--convert-to", tmp_path / "audio", "--valid-fraction", 0
        )
        assert status == 0
        assert list(Manifest.read(tmp_path / "out" / "train.tsv").paths) == ["0.flac", "1.flac"]


@pytest.mark.parametrize("change", [{"audio_dir": "other"}, {"sample_rate": 16_000}])
def test_a_folder_of_converted_files_belongs_to_one_data_set(
    tmp_path: Path, make_manifest: Command, change: dict[str, object]
) -> None:
    for name in ("music", "other"):
        make_music(tmp_path / name / "1.flac", 2, seed=len(name))

    def convert(audio_dir: str = "music", sample_rate: int = 24_000) -> tuple[int, str, str]:
        out = tmp_path / f"out_{audio_dir}_{sample_rate}"
        options = ["--convert-to", tmp_path / "audio", "--sample-rate", sample_rate, "--valid-fraction", 0]
        return make_manifest(tmp_path / audio_dir, out, *options)

    assert convert()[0] == 0
    before = contents(tmp_path / "audio")
    status, _, message = convert(**change)  # type: ignore[arg-type]
    assert status == 1
    assert "audio: holds the converted files of" in message
    assert f'"audio_dir": "{tmp_path / "music"}", "sample_rate": 24000' in message
    assert contents(tmp_path / "audio") == before
    assert convert()[0] == 0


@pytest.mark.parametrize("held", ["out/ingest.jsonl", "audio/.lock"])
def test_two_runs_cannot_share_a_folder_that_they_write_to(
    tmp_path: Path, repo_root: Path, make_manifest: Command, held: str
) -> None:
    (tmp_path / "music").mkdir()
    (tmp_path / held).parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(tmp_path / held)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        status, _, message = make_manifest(tmp_path / "music", tmp_path / "out", "--convert-to", tmp_path / "audio")
        other.kill()
    assert status == 1
    assert "is in use by another run" in message


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux to give up root's rights")
def test_files_that_may_not_be_read_are_named_and_taken_once_they_may(tmp_path: Path, repo_root: Path) -> None:
    make_music(tmp_path / "music" / "fine.wav", 1, 24_000)
    make_music(tmp_path / "music" / "locked.wav", 1, 24_000, 1).chmod(0)
    make_music(tmp_path / "music" / "locked_folder" / "1.wav", 1, 24_000, 2)
    make_music(tmp_path / "music" / "names_only" / "1.wav", 1, 24_000, 3)
    (tmp_path / "music" / "link").symlink_to(tmp_path / "music" / "locked_folder" / "1.wav")
    (tmp_path / "music" / "locked_folder").chmod(0)
    (tmp_path / "music" / "names_only").chmod(0o444)
    rights = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    script = str(repo_root / "preprocess" / "make_manifest.py")
    command = [*rights, sys.executable, "-c", WITHOUT_FAIRSEQ, script, str(tmp_path / "music"), str(tmp_path / "out")]
    try:
        subprocess.run([*command, "--valid-fraction", "0"], check=True, cwd=repo_root, capture_output=True)
    finally:
        (tmp_path / "music" / "locked_folder").chmod(0o755)
        (tmp_path / "music" / "names_only").chmod(0o755)
    assert {row["path"]: row["reason"] for row in read_table(tmp_path / "out" / "rejects.tsv")} == {
        "locked.wav": "no_permission",
        "locked_folder": "no_permission",
        "names_only": "no_permission",
        "link": "no_permission",
    }
    (tmp_path / "music" / "link").unlink()
    (tmp_path / "music" / "locked.wav").chmod(0o644)
    subprocess.run([*command, "--valid-fraction", "0"], check=True, cwd=repo_root, capture_output=True)
    assert read_table(tmp_path / "out" / "rejects.tsv") == []
    assert len(Manifest.read(tmp_path / "out" / "train.tsv")) == 4


def test_a_file_that_the_disk_failed_to_read_is_tried_again(
    tmp_path: Path, make_manifest: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        make_music(tmp_path / "music" / f"{number}.wav", 1, 24_000, number)
    arguments = [tmp_path / "music", tmp_path / "out", "--valid-fraction", 0, "--json"]

    def failing(stream: IO[bytes]) -> str:
        if Path(stream.name).name == "1.wav":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return "wav"

    with monkeypatch.context() as patched:  # workers are forked from this process
        patched.setattr("mert_fairseq.preprocessing.examine_track.content_of", failing)
        make_manifest(*arguments)
    assert read_table(tmp_path / "out" / "rejects.tsv") == [
        {"path": "1.wav", "reason": "unreadable", "detail": "Input/output error"}
    ]
    assert json.loads(make_manifest(*arguments)[1])["resumed"] == 1
    assert list(Manifest.read(tmp_path / "out" / "train.tsv").paths) == ["0.wav", "1.wav"]


def test_a_full_disk_stops_the_run_and_is_no_fault_of_the_track(tmp_path: Path, repo_root: Path) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, 240_000, dtype=np.int16)
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "a.wav", noise, 24_000)
    out = tmp_path / "out"
    script = str(repo_root / "preprocess" / "make_manifest.py")
    arguments = [str(tmp_path / "music"), str(out), "--convert-to", str(out / "audio"), "--valid-fraction", "0"]
    run = subprocess.run(
        [sys.executable, "-c", SMALL_DISK + WITHOUT_FAIRSEQ, script, *arguments],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "a.wav" in run.stderr
    assert sorted(path.name for path in (out / "audio").iterdir()) == [".lock", ".owner.json"]
    assert not (out / "train.tsv").exists()
