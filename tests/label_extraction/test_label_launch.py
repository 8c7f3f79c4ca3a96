"""Label jobs through submitit on this machine."""

import argparse
from dataclasses import replace

import pytest
import torch
from label_corpus import label_files, make_job

from mert_fairseq.jobs.command import JobError
from mert_fairseq.jobs.launcher import job_options
from mert_fairseq.label_extraction import LabelJobError, merge_shards, run_shard
from mert_fairseq.label_extraction import cli as command
from mert_fairseq.label_extraction.launch import label_launched


@pytest.mark.slow
def test_launched_shards_make_the_bytes_of_one_process(tmp_path):
    job = make_job(tmp_path, [8000] * 6, file_format="both")
    run_shard(job)
    merge_shards(job)
    launched = replace(job, label_dir=tmp_path / "launched")
    launched.label_dir.mkdir()
    label_launched([launched], "local", 2, 1, [])
    assert label_files(launched.label_dir) == label_files(tmp_path)
    label_launched([launched], "local", 2, 1, [])  # is done: starts nothing
    assert len(list((launched.label_dir / "label-jobs").glob("*/*_result.pkl"))) == 2


@pytest.mark.slow
def test_a_track_without_codes_is_told_of_with_its_reason(tmp_path):
    job = make_job(tmp_path, [8000] * 2)
    (tmp_path / "audio/train001.wav").write_bytes(b"no audio")
    with pytest.raises(LabelJobError, match=r"rejects.tsv: 1 tracks have no codes:\s+.*train001.wav"):
        label_launched([job], "local", 1, 1, [])


@pytest.mark.slow
def test_a_job_that_fails_names_its_log(tmp_path):
    job = make_job(tmp_path, [8000] * 2)
    (tmp_path / "teacher0.npz").write_bytes(b"no teacher")
    with pytest.raises(JobError, match=r"See .*label-jobs.*continues where it stopped"):
        label_launched([replace(job)], "local", 1, 1, [])


def test_job_options_are_submitit_s():
    options = job_options(["slurm_partition=cpu", "timeout_min=60"], 4)
    given = {"slurm_partition": "cpu", "timeout_min": 60, "cpus_per_task": 4}
    assert options == {"stderr_to_stdout": True, **given}
    with pytest.raises(ValueError, match="--job-options partition: expected KEY=VALUE"):
        job_options(["partition"], 1)


def test_an_unknown_option_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--launcher local: .*colour"):
        label_launched([make_job(tmp_path, [8000])], "local", 1, 1, ["colour=red"])


def test_jobs_on_other_machines_are_told_their_workers(tmp_path, run_command, capsys):
    make_job(tmp_path, [8000])
    words = ["apply", tmp_path, "--teacher", tmp_path / "teacher0.npz", "--splits", "train", "--launcher", "slurm"]
    assert run_command("extract_rvq_labels", *words) == 1
    assert "--launcher slurm: expected --workers" in capsys.readouterr().err


@pytest.mark.parametrize(("gpus", "expected"), [(2, 1), (0, 3)])
def test_encodec_takes_one_worker_on_a_gpu_and_a_core_each_else(monkeypatch, gpus, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(command, "default_workers", lambda: 3)
    options = argparse.Namespace(workers=None, launcher=None, teacher="encodec")
    assert command.asked_workers(options) == expected


@pytest.mark.parametrize("option", ["--workers", "--batch", "--shards"])
def test_senseless_numbers_are_refused(tmp_path, run_command, capsys, option):
    with pytest.raises(SystemExit):
        run_command("extract_rvq_labels", "apply", tmp_path, "--teacher", "encodec", option, 0)
    assert f"argument {option}: found 0, expected a whole number above 0" in capsys.readouterr().err
