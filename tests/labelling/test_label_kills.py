"""Jobs that are killed, that meet another job, or that find the disk full."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from label_corpus import label_files, make_job

from mert_fairseq.labelling import LabelJob, LabelJobError, Shard, merge_shards, run_shard
from mert_fairseq.labelling.store import ShardStore

DRIVER = Path(__file__).with_name("label_driver.py")


def start(folder: Path, label_dir: Path, file_format: str, *more: str) -> subprocess.Popen:
    label_dir.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(DRIVER.parents[2])}
    command = [sys.executable, str(DRIVER), str(folder), str(label_dir), file_format, *more]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise AssertionError(process.communicate()[1])
    return process


def undisturbed(job: LabelJob, label_dir: Path) -> dict[str, bytes]:
    label_dir.mkdir()
    whole = replace(job, label_dir=label_dir)
    run_shard(whole)
    merge_shards(whole)
    return label_files(label_dir)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_leave_the_bytes_of_an_undisturbed_job(tmp_path: Path) -> None:
    job = make_job(tmp_path, [16_000 + 997 * track for track in range(150)], file_format="both")
    begun = time.monotonic()
    expected = undisturbed(job, tmp_path / "undisturbed")
    seconds = time.monotonic() - begun
    draw = random.Random(0)
    kills, attempt = 0, 0
    while kills < 20:
        label_dir, attempt = tmp_path / f"attempt{attempt}", attempt + 1
        while True:
            process = start(tmp_path, label_dir, "both")
            try:
                process.communicate(timeout=draw.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
                continue
            assert process.returncode == 0
            break
        assert label_files(label_dir) == expected
        assert not list(label_dir.glob(".*"))
        assert not list(label_dir.glob("*.parts"))


def test_half_written_codes_and_lines_are_made_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 4)
    expected = undisturbed(job, tmp_path / "undisturbed")
    run_shard(job)
    journal, codes = (job.parts_dir / f"shard-0-of-1.{suffix}" for suffix in ("journal", "codes"))
    journal.write_bytes(journal.read_bytes()[:-7])  # killed within a line
    codes.write_bytes(codes.read_bytes() + b"half a track")
    damaged = bytearray(codes.read_bytes())
    damaged[3] ^= 1  # a power cut that lost a block of the first track
    codes.write_bytes(damaged)
    with pytest.raises(LabelJobError, match="lacks 1 of 4 tracks"):
        merge_shards(job)
    assert run_shard(job).labelled == 2
    merge_shards(job)
    assert label_files(tmp_path) == expected


def test_damaged_codes_do_not_reach_the_labels(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 2)
    run_shard(job)
    codes = job.parts_dir / "shard-0-of-1.codes"
    codes.write_bytes(b"\xff" + codes.read_bytes()[1:])
    with pytest.raises(LabelJobError, match=r"codes of train00\d.wav are damaged. Run apply --shard 0/1 again"):
        merge_shards(job)
    assert not label_files(tmp_path)


def attempt(job: LabelJob, answer: Connection) -> None:
    try:
        run_shard(job)
        answer.send("labelled")
    except LabelJobError as error:
        answer.send(str(error))


def test_a_second_job_on_a_shard_is_turned_away(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 2)
    ours, theirs = multiprocessing.Pipe()
    with ShardStore(job.parts_dir, Shard(0, 1), job.identity, 2):
        second = multiprocessing.get_context("fork").Process(target=attempt, args=(job, theirs))
        second.start()
        second.join()
    assert "shard-0-of-1.lock: another job is at work here. Wait for it to end" in ours.recv()


@pytest.mark.slow
def test_two_jobs_at_once_leave_the_bytes_of_one(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 40)
    expected = undisturbed(job, tmp_path / "undisturbed")
    label_dir = tmp_path / "shared"
    first, second = start(tmp_path, label_dir, "text"), start(tmp_path, label_dir, "text")
    first.communicate()
    second.communicate()
    assert 0 in (first.returncode, second.returncode)
    assert label_files(label_dir) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "limit"), [("a shard's codes", 3000), ("the labels", 8100)])
def test_a_full_disk_is_a_clear_error_with_nothing_half_written(tmp_path: Path, stage: str, limit: int) -> None:
    # 40 tracks of 50 codes of 2 books are 8000 bytes of codes; the packed file has a header of 128 more
    job = make_job(tmp_path, [8000] * 40, file_format="both")
    expected = undisturbed(job, tmp_path / "undisturbed")
    label_dir = tmp_path / "small"
    process = start(tmp_path, label_dir, "both", str(limit))
    said, message = process.communicate()
    assert process.returncode == 1
    assert ("labelled" in said) == (stage == "the labels")
    assert "no room to write (File too large). Nothing is half-written: free some space" in message
    assert not label_files(label_dir)
    again = start(tmp_path, label_dir, "both")
    assert "done" in again.communicate()[0]
    assert label_files(label_dir) == expected


def test_a_write_that_finds_no_room_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, [8000] * 3)
    real = os.pwrite
    with ShardStore(job.parts_dir, Shard(0, 1), job.identity, 2) as store:
        store.add(0, np.ones((50, 2), np.uint16))
        size = store.base.with_suffix(".codes").stat().st_size

        def full(descriptor: int, data: bytes, place: int) -> int:
            if place > size:
                raise OSError(28, "No space left on device")
            return real(descriptor, bytes(data)[:10], place)  # a short write first

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(LabelJobError, match=r"no room to write \(No space left on device\)"):
            store.add(1, np.ones((50, 2), np.uint16))
        monkeypatch.setattr(os, "pwrite", real)
        assert store.base.with_suffix(".codes").stat().st_size == size
        store.add(1, np.full((50, 2), 2, np.uint16))
    with ShardStore(job.parts_dir, Shard(0, 1), job.identity, 2) as store:
        assert set(store.entries) == {0, 1}
