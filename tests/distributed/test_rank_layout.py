"""Ranks started by Slurm, torchrun, options or this command: a complete layout, or an error with a remedy."""

import pytest

from mert_fairseq.distributed.rank_layout import (
    LaunchOptions,
    LayoutError,
    RankLayout,
    find_layout,
    first_host,
    job_port,
)

STEP = {"SLURM_JOB_ID": "70", "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "node[3-4]", "SLURM_STEP_NUM_NODES": "2"}


def step(tasks: int, per_node: str, procid: int, node: int, local: int) -> dict[str, str]:
    """The environment variables that srun sets for a task."""
    return STEP | {
        "SLURM_STEP_NUM_TASKS": str(tasks),
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        "SLURM_PROCID": str(procid),
        "SLURM_NODEID": str(node),
        "SLURM_LOCALID": str(local),
    }


@pytest.fixture
def scontrol(tmp_path, monkeypatch):
    """A fake scontrol that knows two hosts."""
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/sh\n[ "$*" = "show hostnames node[3-4]" ] && printf "node3\\nnode4\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("environ", "gpus", "world_size", "rank", "local_ranks", "device"),
    [
        (step(4, "2(x2)", 3, 1, 1), 0, 4, 3, 1, 0),  # CPUs, 2 x 2
        (step(2, "1(x2)", 1, 1, 0), 0, 2, 1, 1, 0),  # CPUs, one task per node: fairseq counts 2 x 0 ranks
        (step(3, "2,1", 2, 1, 0), 0, 3, 2, 1, 0),  # nodes with different numbers of tasks
        (step(8, "4(x2)", 6, 1, 2), 4, 8, 6, 1, 2),  # one task per GPU, all GPUs visible
        (step(8, "4(x2)", 6, 1, 2), 1, 8, 6, 1, 0),  # one task per GPU, each sees only its own
        (step(2, "1(x2)", 1, 1, 0), 4, 8, 4, 4, 0),  # one task per node of 4 GPUs starts 4 ranks
    ],
)
def test_a_slurm_step_has_one_rank_per_task_or_per_gpu(scontrol, environ, gpus, world_size, rank, local_ranks, device):
    found = find_layout(LaunchOptions(), environ, gpus)
    assert (found.world_size, found.rank, found.local_ranks, found.device) == (world_size, rank, local_ranks, device)
    assert found.init_method == "tcp://node3:12070"  # the first host; 12000 + job 70


def test_a_single_task_needs_no_group_and_no_scontrol(monkeypatch):
    monkeypatch.setenv("PATH", "")
    environ = step(1, "1", 0, 0, 0) | {"SLURM_STEP_NUM_NODES": "1"}
    assert find_layout(LaunchOptions(), environ, 0) == RankLayout("srun (1 nodes, 1 tasks)")


def test_torchrun_sets_the_address():
    environ = {"MASTER_ADDR": "a", "MASTER_PORT": "1", "WORLD_SIZE": "6", "RANK": "5", "LOCAL_RANK": "2"}
    assert find_layout(LaunchOptions(), environ, 0) == RankLayout("torchrun", 6, 5, 1, 0, "env://")
    assert find_layout(LaunchOptions(), environ | {"LOCAL_WORLD_SIZE": "3"}, 4).device == 2
    with pytest.raises(LayoutError, match="torchrun started 3 ranks on a machine with 2 GPUs"):
        find_layout(LaunchOptions(), environ | {"LOCAL_WORLD_SIZE": "3"}, 2)


def test_this_command_starts_the_requested_ranks():
    assert find_layout(LaunchOptions(), {}, 0) == RankLayout("this command")
    assert find_layout(LaunchOptions(port=9), {}, 4) == RankLayout("this command", 4, 0, 4, 0, "tcp://127.0.0.1:9")
    assert find_layout(LaunchOptions(world_size=3, port=9), {}, 0).local_ranks == 3
    with pytest.raises(LayoutError, match="distributed_world_size=3, but this machine has 2 GPUs"):
        find_layout(LaunchOptions(world_size=3), {}, 2)


def test_an_explicit_init_method_needs_a_valid_rank():
    options = LaunchOptions(4, "tcp://a:1", 2, no_spawn=True)
    assert find_layout(options, {}, 0) == RankLayout("distributed_init_method", 4, 2, 1, 0, "tcp://a:1")
    with pytest.raises(LayoutError, match="expected 0 to 3"):
        find_layout(LaunchOptions(4, "tcp://a:1", 4, no_spawn=True), {}, 0)
    with pytest.raises(LayoutError, match="Set distributed_no_spawn=true"):
        find_layout(LaunchOptions(4, "tcp://a:1", 0), {}, 0)


def test_a_batch_script_without_srun_is_refused():
    with pytest.raises(LayoutError, match="job 70 has 4 tasks, but this process is not one of .* Start .* with srun"):
        find_layout(LaunchOptions(), {"SLURM_JOB_ID": "70", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, 0)
    assert find_layout(LaunchOptions(), {"SLURM_JOB_ID": "70", "SLURM_NTASKS": "1"}, 0).world_size == 1


def test_a_wrong_world_size_is_refused(scontrol):
    with pytest.raises(LayoutError, match="distributed_world_size=8, but srun .2 nodes, 4 tasks. started 4 ranks"):
        find_layout(LaunchOptions(world_size=8), step(4, "2(x2)", 0, 0, 0), 0)


def test_without_scontrol_no_task_becomes_a_single_rank(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LayoutError, match="found no scontrol on PATH"):
        find_layout(LaunchOptions(), step(4, "2(x2)", 3, 1, 1), 0)


def test_a_node_list_that_scontrol_cannot_read_is_an_error(scontrol):
    with pytest.raises(LayoutError, match="scontrol show hostnames other failed"):
        first_host("other")


def test_submitit_s_local_tasks_are_refused():
    with pytest.raises(LayoutError, match="local launcher started 2 tasks, expected one"):
        find_layout(LaunchOptions(), {"SUBMITIT_LOCAL_NTASKS": "2"}, 0)


def test_ports_depend_on_job_and_step():
    assert job_port(1, 0) == 12_001
    assert job_port(20_001, 0) == 12_001
    assert len({job_port(job, step) for job in range(100) for step in range(3)}) == 300
