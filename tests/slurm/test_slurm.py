"""Trainings and label jobs on a real Slurm: every launch trains or is refused; preempted and lost jobs continue."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from label_extraction.label_corpus import label_files, write_audio, write_teacher

from mert_fairseq.checkpointing.safe_loading import read_checkpoint
from mert_fairseq.label_extraction import LabelJob, TeacherSource, merge_parts, run_part

pytestmark = pytest.mark.slurm
TRAIN, TORCHRUN = "examples/slurm/train.sbatch", "examples/slurm/torchrun.sbatch"


def weights(folder: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """Updates and parameters of the last checkpoint."""
    state = read_checkpoint(folder / "checkpoint_last.pt")
    return state["optimizer_history"][-1]["num_updates"], state["model"]


@pytest.fixture(scope="module")
def long(overrides) -> list[str]:
    """Overrides for enough updates to interrupt the run in the middle."""
    return [*overrides, "optimization.max_update=400"]


@pytest.fixture(scope="module")
def uninterrupted(slurm, repo_root, long, tmp_path_factory) -> dict[str, torch.Tensor]:
    """Parameters of an uninterrupted run on two ranks."""
    two_ranks = [*long, "distributed_training.distributed_world_size=2"]
    return train_here(slurm, repo_root, tmp_path_factory.mktemp("here"), two_ranks)


def check_equal(save_dir: Path, uninterrupted: dict[str, torch.Tensor]) -> None:
    """Check for the same number of updates and, to 1e-6, the same parameters."""
    updates, found = weights(save_dir)
    assert updates == 400
    for name, value in uninterrupted.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-6, msg=name)


def train_here(slurm, repo_root, save_dir: Path, arguments: list[str]) -> dict[str, torch.Tensor]:
    """Train without Slurm; returns the parameters."""
    command = ["fairseq-hydra-train", f"--config-dir={repo_root}/config/pretrain", "--config-name=mert_95m"]
    environ = {name: value for name, value in slurm.environ.items() if name != "SLURM_CONF"}
    done = subprocess.run(
        [*command, f"checkpoint.save_dir={save_dir}", *arguments],
        cwd=repo_root,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return weights(save_dir)[1]


def test_every_layout_trains_its_ranks_or_is_refused(sbatch, wait, overrides, tmp_path):
    few = [*overrides, "optimization.max_update=3"]
    four = sbatch("--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1", TRAIN, "mert_95m",
                  f"checkpoint.save_dir={tmp_path}/four", *few)  # fmt: skip
    two = sbatch("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", TRAIN, "mert_95m",
                 f"checkpoint.save_dir={tmp_path}/two", *few)  # fmt: skip
    command = "fairseq-hydra-train --config-dir $PWD/config/pretrain --config-name mert_95m common.cpu=true task.data=x"
    without_srun = sbatch("--ntasks=2", "--cpus-per-task=1", f"--wrap={command}")
    wrong_size = sbatch("--ntasks=1", f"--wrap=srun {command} distributed_training.distributed_world_size=4")
    for job in (four, two, without_srun, wrong_size):
        wait(job.ended, lambda job=job: job.output)
    assert [job.state for job in (four, two, without_srun, wrong_size)] == [
        "COMPLETED",
        "COMPLETED",
        "FAILED",
        "FAILED",
    ]
    assert "4 rank(s), started by srun (2 nodes, 4 tasks): ranks 0 to 1 on node1" in four.output
    assert "4 rank(s) x 1 step(s) x 48000 samples = 8.0 s of audio" in four.output
    assert "2 rank(s), started by srun (2 nodes, 2 tasks): rank 0 on node1 (CPU x86_64); rank 1 on node2" in two.output
    assert weights(tmp_path / "four")[0] == weights(tmp_path / "two")[0] == 3
    assert "has 2 tasks, but this process is not one of them" in without_srun.output
    assert "distributed_world_size=4, but srun (1 nodes, 1 tasks) started 1 ranks" in wrong_size.output


def test_a_sweep_of_two_jobs_has_two_folders(slurm, repo_root, overrides, tmp_path):
    done = subprocess.run(
        ["fairseq-hydra-train", "-m", f"--config-dir={repo_root}/config/pretrain", "--config-name=mert_95m",
         "+run=slurm", f"hydra.sweep.dir={tmp_path}/sweep", "hydra.launcher.gpus_per_node=null",
         "hydra.launcher.cpus_per_task=1",
         "hydra.launcher.mem_gb=1", *overrides, "optimization.max_update=2", "common.seed=1,2"],
        cwd=repo_root, env=slurm.environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (first, one), (second, other) = (weights(tmp_path / f"sweep/{number}") for number in (0, 1))
    assert first == second == 2
    assert not torch.equal(one["final_proj.weight"], other["final_proj.weight"])


def test_a_preempted_job_continues_and_ends_like_an_uninterrupted_one(sbatch, wait, long, uninterrupted, tmp_path):
    ours = sbatch("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4", TRAIN, "mert_95m",
                  f"checkpoint.save_dir={tmp_path}/ours", *long)  # fmt: skip
    wait(lambda: "train_inner" in ours.output, lambda: ours.output)
    urgent = sbatch("--partition=urgent", "--nodes=2", "--cpus-per-task=4", "--wrap=sleep 1")
    wait(urgent.ended, lambda: ours.output)
    assert urgent.state == "COMPLETED"
    wait(ours.ended, lambda: ours.output)
    assert ours.state == "COMPLETED", ours.output
    assert "SIGTERM: saving update" in ours.output
    assert f"requeueing job {ours.number}" in ours.output
    assert "Loaded checkpoint" in ours.output
    check_equal(tmp_path / "ours", uninterrupted)


@pytest.mark.parametrize("name", ["USR2", "TERM"])
def test_ranks_of_torchrun_save_before_torchrun_ends_them(sbatch, wait, long, uninterrupted, tmp_path, name):
    """Slurm signals torchrun too. SIGUSR2 must not end it, because its step would then end within KillWait."""
    job = sbatch("--nodes=2", "--cpus-per-task=2", "--export=ALL,NPROC=1", TORCHRUN, "mert_95m",
                 f"checkpoint.save_dir={tmp_path}/ours", *long)  # fmt: skip
    wait(lambda: "train_inner" in job.output, lambda: job.output)
    job.slurm.call("scancel", f"--signal={name}", job.number)
    wait(job.ended, lambda: job.output)
    assert job.state == "COMPLETED", job.output
    assert "2 rank(s), started by torchrun" in job.output  # the order of ranks is decided at the rendezvous
    assert f"SIG{name}: saving update" in job.output
    assert "User defined signal 2" not in job.output
    assert "Loaded checkpoint" in job.output
    check_equal(tmp_path / "ours", uninterrupted)


def test_a_killed_rank_ends_its_job_at_once(sbatch, wait, long, tmp_path):
    job = sbatch("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", TRAIN, "mert_95m",
                 f"checkpoint.save_dir={tmp_path}/ours", *long)  # fmt: skip
    wait(lambda: "train_inner" in job.output, lambda: job.output)
    for rank in job.slurm.pythons("node2"):
        os.kill(rank, signal.SIGKILL)
    wait(job.ended, lambda: job.output)
    assert job.state == "FAILED"


def test_a_training_continues_after_a_node_is_lost(slurm, sbatch, wait, long, uninterrupted, tmp_path):
    job = sbatch("--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", TRAIN, "mert_95m",
                 f"checkpoint.save_dir={tmp_path}/ours", *long, "checkpoint.save_interval_updates=10")  # fmt: skip
    wait(lambda: "Saved checkpoint" in job.output, lambda: job.output)
    slurm.fail_node("node2")
    slurm.revive_node("node2")
    wait(job.ended, lambda: job.output)
    assert job.state == "COMPLETED", job.output
    assert "Loaded checkpoint" in job.output
    check_equal(tmp_path / "ours", uninterrupted)


def test_a_job_at_its_time_limit_is_requeued_through_submitit(slurm, wait, long, repo_root, tmp_path):
    sweep = subprocess.Popen(
        ["fairseq-hydra-train", "-m", f"--config-dir={repo_root}/config/pretrain", "--config-name=mert_95m",
         "+run=slurm", f"hydra.sweep.dir={tmp_path}/sweep", "hydra.launcher.gpus_per_node=null",
         "hydra.launcher.cpus_per_task=1",
         "hydra.launcher.mem_gb=1", "hydra.launcher.name=timed", "hydra.launcher.signal_delay_s=115", *long],
        cwd=repo_root, env=slurm.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def output() -> str:
        return "".join(log.read_text() for log in tmp_path.glob("sweep/submitit/*/*log.out"))

    wait(lambda: "train_inner" in output(), output)
    (rank,) = slurm.pythons()
    os.kill(rank, signal.SIGSTOP)  # Slurm checks time limits every half minute; the training must not end before
    job = slurm.call("squeue", "-h", "--name=timed", "-o", "%A").strip()
    slurm.call("scontrol", "update", f"jobid={job}", "timelimit=2")
    wait(lambda: was_sent(signal.SIGUSR2, rank), output)
    with contextlib.suppress(ProcessLookupError):
        os.kill(rank, signal.SIGCONT)
    wait(lambda: "requeued through submitit" in output(), output)
    slurm.call("scontrol", "update", f"jobid={job}", "timelimit=60")
    assert sweep.wait(400) == 0, output()
    assert "SIGUSR2: saving update" in output()
    updates, found = weights(tmp_path / "sweep/0")
    assert updates == 400
    expected = train_here(slurm, repo_root, tmp_path / "here", long)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def was_sent(number: signal.Signals, process: int) -> bool:
    """Whether a signal is pending for a stopped process, or the process has already ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True
    pending = re.findall(r"^(?:Sig|Shd)Pnd:\s*(\w+)", status, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in pending)


def test_labels_of_a_job_that_lost_a_node_equal_local_ones(slurm, wait, repo_root, tmp_path):
    manifest = write_audio(tmp_path, [24_000 + 97 * track for track in range(400)])
    teacher = write_teacher(tmp_path)
    here = LabelJob(manifest, tmp_path, "rvq", TeacherSource(str(teacher)), "both")
    run_part(here)
    merge_parts(here)
    there = tmp_path / "there"
    command = subprocess.Popen(
        [sys.executable, f"{repo_root}/preprocess/extract_rvq_labels.py", "apply", tmp_path, "--teacher", teacher,
         "--splits", "train", "--format", "both", "--label-dir", there, "--launcher", "slurm", "--shards", "2",
         "--workers", "1", "--job-options", "cpus_per_task=4", "mem_gb=1",],
        cwd=repo_root, env=slurm.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    journal = there / "train.rvq.parts/shard-1-of-2.journal"
    wait(lambda: journal.exists() and journal.read_text().count("\n") > 5)
    lost = slurm.call("squeue", "-h", "-r", "--name=labels", "-o", "%K %N")
    node = dict(line.split() for line in lost.splitlines())["1"]
    slurm.fail_node(node)
    slurm.revive_node(node)
    output, _ = command.communicate(timeout=300)  # Slurm waits two minutes before it restarts a lost job
    assert command.returncode == 0, output
    restarted = [log for log in there.glob("label-jobs/*_1/*log.out") if log.read_text().count("Loading pickle") == 2]
    assert restarted
    assert label_files(there) == label_files(tmp_path)
