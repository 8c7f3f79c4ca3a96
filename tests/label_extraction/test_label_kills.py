"""Jobs that are killed, that meet another job, or that find the disk full."""

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
from mert_fairseq.label_extraction import LabelJob, LabelJobError, Shard, TeacherSource, merge_shards, run_shard
from mert_fairseq.label_extraction.part_store import ShardStore

FORK = multiprocessing.get_context("fork")  # a fork needs no second to import torch in: kills meet the job at work


def label(job: LabelJob, answers: Connection, most_bytes: int) -> None:
    """What a job's process does: label, merge, tell how far it came; no file may grow beyond ``most_bytes``."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    try:
        run_shard(job, workers=2)
        answers.send("labelled")
        merge_shards(job)
        answers.send("merged")
    except (LabelJobError, LockedError) as error:
        answers.send(str(error))


def start(job: LabelJob, most_bytes: int = resource.RLIM_INFINITY) -> tuple[BaseProcess, Connection]:
    """The process of a job, at work, and what it tells."""
    job.label_dir.mkdir(exist_ok=True)
    ours, theirs = FORK.Pipe(duplex=False)
    process = FORK.Process(target=label, args=(job, theirs, most_bytes))
    process.start()
    theirs.close()
    return process, ours


def told(answers: Connection) -> list[str]:
    """All that a process told until it ended."""
    lines = []
    with suppress(EOFError):
        while True:
            lines.append(answers.recv())
    return lines


def undisturbed(job: LabelJob, label_dir: Path) -> dict[str, bytes]:
    label_dir.mkdir()
    whole = replace(job, label_dir=label_dir)
    run_shard(whole)
    merge_shards(whole)
    return label_files(label_dir)


def kill_twenty_times(job: LabelJob, folder: Path) -> None:
    """Label again and again with kills in between; every job that ends must leave an undisturbed one's bytes."""
    begun = time.monotonic()
    expected = undisturbed(job, folder / "undisturbed")
    seconds = time.monotonic() - begun
    draw = random.Random(0)
    kills, attempt = 0, 0
    while kills < 20:
        trial, attempt = replace(job, label_dir=folder / f"attempt{attempt}"), attempt + 1
        answers: list[str] = []
        while not answers:
            process, connection = start(trial)
            process.join(draw.uniform(0, seconds))
            if process.is_alive():
                process.kill()
                kills += 1
            else:
                answers = told(connection)
            process.join()
        assert answers == ["labelled", "merged"]
        assert label_files(trial.label_dir) == expected
        assert not list(trial.label_dir.glob(".*"))
        assert not list(trial.label_dir.glob("*.parts"))


@pytest.mark.slow
def test_twenty_kills_at_random_moments_leave_the_bytes_of_an_undisturbed_job(tmp_path: Path) -> None:
    kill_twenty_times(make_job(tmp_path, [16_000 + 997 * track for track in range(150)], file_format="both"), tmp_path)


@pytest.mark.slow
def test_twenty_kills_do_not_change_a_code_of_encodec(tmp_path: Path, weights: Path) -> None:
    (tmp_path / "encodec.th").symlink_to(weights)
    manifest = write_audio(tmp_path, [12_000 + 997 * track for track in range(30)], sample_rate=24_000)
    source = TeacherSource("encodec", str(tmp_path / "encodec.th"))
    kill_twenty_times(LabelJob(manifest, tmp_path, "encodec", source, "packed"), tmp_path)


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


def test_zeros_in_the_place_of_a_journal_line_cost_its_track_alone(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 4)
    expected = undisturbed(job, tmp_path / "undisturbed")
    run_shard(job)
    journal = job.parts_dir / "shard-0-of-1.journal"
    lines = journal.read_bytes().split(b"\n")
    lines[2] = bytes(len(lines[2]))  # a power cut
    journal.write_bytes(b"\n".join(lines))
    assert run_shard(job).labelled == 1
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


def test_a_second_job_on_a_shard_is_turned_away(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 2)
    with ShardStore(job.parts_dir, Shard(0, 1), job.teacher_identity, 2):
        _, answers = start(job)
        assert "shard-0-of-1.lock is in use by another run. Wait for it to end" in told(answers)[0]


@pytest.mark.slow
def test_two_jobs_at_once_leave_the_bytes_of_one(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000] * 40)
    expected = undisturbed(job, tmp_path / "undisturbed")
    job = replace(job, label_dir=tmp_path / "shared")
    both = [start(job), start(job)]
    assert ["labelled", "merged"] in [told(answers) for _, answers in both]
    assert label_files(job.label_dir) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "limit"), [("a shard's codes", 3000), ("the labels", 8100)])
def test_a_full_disk_is_a_clear_error_with_nothing_half_written(tmp_path: Path, stage: str, limit: int) -> None:
    # 40 tracks of 50 codes of 2 books are 8000 bytes of codes; the packed file has a header of 128 more
    job = make_job(tmp_path, [8000] * 40, file_format="both")
    expected = undisturbed(job, tmp_path / "undisturbed")
    job = replace(job, label_dir=tmp_path / "small")
    *before, message = told(start(job, limit)[1])
    assert before == (["labelled"] if stage == "the labels" else [])
    assert "no room to write (File too large). Nothing is half-written: free some space" in message
    assert not label_files(job.label_dir)
    assert told(start(job)[1]) == ["labelled", "merged"]
    assert label_files(job.label_dir) == expected


def test_a_write_that_finds_no_room_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(tmp_path, [8000] * 3)
    real = os.pwrite
    with ShardStore(job.parts_dir, Shard(0, 1), job.teacher_identity, 2) as store:
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
    with ShardStore(job.parts_dir, Shard(0, 1), job.teacher_identity, 2) as store:
        assert set(store.entries) == {"a.wav\t8000", "b.wav\t8000"}
