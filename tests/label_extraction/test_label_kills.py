"""Label jobs that are killed, run at the same time as another, or find the disk full."""

import multiprocessing
import os
import random
import resource
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
from label_corpus import label_files, make_job, write_audio

from mert_fairseq.jobs.locks import LockedError
from mert_fairseq.label_extraction import LabelJob, LabelJobError, Part, TeacherSource, merge_parts, run_part
from mert_fairseq.label_extraction.part_store import PartStore

FORK = multiprocessing.get_context("fork")  # a fork does not import torch again, so that kills hit the job at work


def label(job: LabelJob, messages: Connection, max_bytes: int) -> None:
    """The process of a job: label, merge, and report each step; no file may grow beyond ``max_bytes``."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (max_bytes, resource.RLIM_INFINITY))
    try:
        run_part(job, workers=2)
        messages.send("labelled")
        merge_parts(job)
        messages.send("merged")
    except (LabelJobError, LockedError) as error:
        messages.send(str(error))


def start(job: LabelJob, max_bytes: int = resource.RLIM_INFINITY) -> tuple[BaseProcess, Connection]:
    """Start the process of a job; returns it with the connection for its messages."""
    job.label_dir.mkdir(exist_ok=True)
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=label, args=(job, theirs, max_bytes))
    process.start()
    theirs.close()
    return process, ours


def read_all(messages: Connection) -> list[str]:
    """All messages of a process, until it ends."""
    lines = []
    with suppress(EOFError):
        while True:
            lines.append(messages.recv())
    return lines


def uninterrupted(job: LabelJob, label_dir: Path) -> dict[str, bytes]:
    label_dir.mkdir()
    whole = replace(job, label_dir=label_dir)
    run_part(whole)
    merge_parts(whole)
    return label_files(label_dir)


def kill_twenty_times(job: LabelJob, folder: Path) -> None:
    """Run jobs and kill them at random times; every job that ends must leave the same bytes as without kills."""
    started = time.monotonic()
    expected = uninterrupted(job, folder / "uninterrupted")
    seconds = time.monotonic() - started
    draw = random.Random(0)
    kills, attempt = 0, 0
    while kills < 20:
        trial, attempt = replace(job, label_dir=folder / f"attempt{attempt}"), attempt + 1
        messages: list[str] = []
        while not messages:
            process, connection = start(trial)
            process.join(draw.uniform(0, seconds))
            if process.is_alive():
                process.kill()
                kills += 1
            else:
                messages = read_all(connection)
            process.join()
        assert messages == ["labelled", "merged"]
        assert label_files(trial.label_dir) == expected
        assert not list(trial.label_dir.glob(".*"))
        assert not list(trial.label_dir.glob("*.parts"))


@pytest.mark.slow
def test_twenty_kills_at_random_times_do_not_change_a_byte(tmp_path: Path) -> None:
    kill_twenty_times(make_job(tmp_path, [16_000 + 997 * track for track in range(150)], file_format="both"), tmp_path)


@pytest.mark.slow
def test_twenty_kills_do_not_change_a_code_of_encodec(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "encodec.th").symlink_to(weights)
    manifest = write_audio(tmp_path, [12_000 + 997 * track for track in range(30)], sample_rate=24_000)
    source = TeacherSource("encodec", str(tmp_path / "encodec.th"))
    kill_twenty_times(LabelJob(manifest, tmp_path, "encodec", source, "packed"), tmp_path)


def test_half_written_codes_and_lines_are_made_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 4)
    expected = uninterrupted(job, tmp_path / "uninterrupted")
    run_part(job)
    journal, codes = (job.parts_dir / f"shard-0-of-1.{suffix}" for suffix in ("journal", "codes"))
    journal.write_bytes(journal.read_bytes()[:-7])  # killed within a line
    codes.write_bytes(codes.read_bytes() + b"half a track")
    damaged = bytearray(codes.read_bytes())
    damaged[3] ^= 1  # a power failure that damaged a block of the first track
    codes.write_bytes(damaged)
    with pytest.raises(LabelJobError, match="lacks 1 of 4 tracks"):
        merge_parts(job)
    assert run_part(job).labelled == 2
    merge_parts(job)
    assert label_files(tmp_path) == expected


def test_a_zeroed_journal_line_costs_only_its_own_track(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 4)
    expected = uninterrupted(job, tmp_path / "uninterrupted")
    run_part(job)
    journal = job.parts_dir / "shard-0-of-1.journal"
    lines = journal.read_bytes().split(b"\n")
    lines[2] = bytes(len(lines[2]))  # a power failure
    journal.write_bytes(b"\n".join(lines))
    assert run_part(job).labelled == 1
    merge_parts(job)
    assert label_files(tmp_path) == expected


def test_damaged_codes_do_not_reach_the_labels(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 2)
    run_part(job)
    codes = job.parts_dir / "shard-0-of-1.codes"
    codes.write_bytes(b"\xff" + codes.read_bytes()[1:])
    with pytest.raises(LabelJobError, match=r"codes of train00\d.wav are damaged. Run apply --shard 0/1 again"):
        merge_parts(job)
    assert not label_files(tmp_path)


def test_a_second_job_on_the_same_part_is_an_error(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 2)
    with PartStore(job.parts_dir, Part(0, 1), job.teacher_identity, 2):
        _, messages = start(job)
        assert "shard-0-of-1.lock is in use by another run. Wait for it to end" in read_all(messages)[0]


@pytest.mark.slow
def test_two_jobs_at_once_leave_the_same_bytes_as_one(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 40)
    expected = uninterrupted(job, tmp_path / "uninterrupted")
    job = replace(job, label_dir=tmp_path / "shared")
    both = [start(job), start(job)]
    assert ["labelled", "merged"] in [read_all(messages) for _, messages in both]
    assert label_files(job.label_dir) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "limit"), [("a part's codes", 3000), ("the labels", 8100)])
def test_a_full_disk_is_a_clear_error_with_nothing_half_written(tmp_path: Path, stage: str, limit: int) -> None:
    # 40 tracks of 50 codes of 2 books are 8000 bytes of codes; the packed file has a header of 128 more
    job = make_job(tmp_path, [8000] * 40, file_format="both")
    expected = uninterrupted(job, tmp_path / "uninterrupted")
    job = replace(job, label_dir=tmp_path / "small")
    *before, message = read_all(start(job, limit)[1])
    assert before == (["labelled"] if stage == "the labels" else [])
    assert "no room to write (File too large). No file is half-written: free some space" in message
    assert not label_files(job.label_dir)
    assert read_all(start(job)[1]) == ["labelled", "merged"]
    assert label_files(job.label_dir) == expected


def test_a_write_to_a_full_disk_keeps_earlier_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, [8000] * 3)
    real = os.pwrite
    with PartStore(job.parts_dir, Part(0, 1), job.teacher_identity, 2) as store:
        store.add("a.wav\t8000", np.ones((50, 2), np.uint16))
        size = store.base.with_suffix(".codes").stat().st_size

        def full(descriptor: int, data: bytes, place: int) -> int:
            if place > size:
                raise OSError(28, "No space left on device")
            return real(descriptor, bytes(data)[:10], place)  # a short write first

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(LabelJobError, match=r"no room to write \(No space left on device\)"):
            store.add("b.wav\t8000", np.ones((50, 2), np.uint16))
        monkeypatch.setattr(os, "pwrite", real)
        assert store.base.with_suffix(".codes").stat().st_size == size
        store.add("b.wav\t8000", np.full((50, 2), 2, np.uint16))
    with PartStore(job.parts_dir, Part(0, 1), job.teacher_identity, 2) as store:
        assert set(store.entries) == {"a.wav\t8000", "b.wav\t8000"}
