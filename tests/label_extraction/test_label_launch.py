"""Label jobs as an array through submitit, on this machine."""

import argparse
from dataclasses import replace

import pytest
import torch
from label_corpus import label_files, make_job

from mert_fairseq.jobs.command import JobError
from mert_fairseq.jobs.launcher import job_options
from mert_fairseq.label_extraction import LabelJobError, cli, merge_parts, run_part
from mert_fairseq.label_extraction.run_parts import launch_parts


@pytest.mark.slow
def test_launched_parts_make_the_same_bytes_as_one_process(tmp_path):
    job = make_job(tmp_path, [8000] * 6, file_format="both")
    run_part(job)
    merge_parts(job)
    launched = replace(job, label_dir=tmp_path / "launched")
    launched.label_dir.mkdir()
    launch_parts([launched], "local", 2, 1, [])
    merge_parts(launched)
    assert label_files(launched.label_dir) == label_files(tmp_path)
    launch_parts([launched], "local", 2, 1, [])  # already finished: starts no job
    assert len(list((launched.label_dir / "label-jobs").glob("*/*_result.pkl"))) == 2


@pytest.mark.slow
def test_a_track_without_codes_is_reported_with_its_reason(tmp_path):
    job = make_job(tmp_path, [8000] * 2)
    (tmp_path / "audio/train001.wav").write_bytes(b"no audio")
    launch_parts([job], "local", 1, 1, [])
    with pytest.raises(LabelJobError, match=r"rejects.tsv: 1 tracks have no codes:\s+.*train001.wav"):
        merge_parts(job)


@pytest.mark.slow
def test_a_job_that_fails_names_its_log(tmp_path):
    job = make_job(tmp_path, [8000] * 2)
    (tmp_path / "teacher0.npz").write_bytes(b"no teacher")
    with pytest.raises(JobError, match=r"See .*label-jobs.*continues where it stopped"):
        launch_parts([replace(job)], "local", 1, 1, [])


def test_job_options_are_passed_to_submitit():
    options = job_options(["slurm_partition=cpu", "timeout_min=60"], 4)
    given = {"slurm_partition": "cpu", "timeout_min": 60, "cpus_per_task": 4}
    assert options == {"stderr_to_stdout": True, **given}
    with pytest.raises(ValueError, match="--job-options partition: expected KEY=VALUE"):
        job_options(["partition"], 1)


def test_an_unknown_job_option_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="--launcher local: .*colour"):
        launch_parts([make_job(tmp_path, [8000])], "local", 1, 1, ["colour=red"])


def test_slurm_jobs_need_a_number_of_workers(tmp_path, run_command, capsys):
    make_job(tmp_path, [8000])
    words = ["apply", tmp_path, "--teacher", tmp_path / "teacher0.npz", "--splits", "train", "--launcher", "slurm"]
    assert run_command("extract_rvq_labels", *words) == 1
    assert "--launcher slurm: expected --workers" in capsys.readouterr().err


@pytest.mark.parametrize(("gpus", "expected"), [(2, 1), (0, 3)])
def test_encodec_uses_one_worker_on_a_gpu_and_else_one_per_core(monkeypatch, gpus, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(cli, "default_workers", lambda: 3)
    options = argparse.Namespace(workers=None, launcher=None, teacher="encodec")
    assert cli.num_workers(options) == expected


@pytest.mark.parametrize("option", ["--workers", "--batch", "--shards"])
def test_numbers_below_one_are_an_error(tmp_path, run_command, capsys, option):
    with pytest.raises(SystemExit):
        run_command("extract_rvq_labels", "apply", tmp_path, "--teacher", "encodec", option, 0)
    assert f"argument {option}: found 0, expected a whole number above 0" in capsys.readouterr().err
