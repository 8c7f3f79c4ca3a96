"""Finds the ranks of a training from Slurm, torchrun or the options, and describes them in one ``RankLayout``.

fairseq's own inference counts GPUs. On CPUs it trains nothing, crashes or divides by zero; without ``scontrol`` every
task becomes rank 0. Here the layout is complete, or the launch fails with a remedy.
"""

import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PORT, PORTS = 12_000, 20_000  # below Linux's range for outgoing connections, which starts at 32,768
TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK")


class LayoutError(ValueError):
    """The ranks cannot train together; the message names what was found, what was expected and the remedy."""


@dataclass(frozen=True)
class LaunchOptions:
    """The launch options of the configuration.

    Attributes:
        world_size: number of ranks, or None if the launcher decides.
        init_method: address of the process group, such as tcp://host:port, or None.
        rank: of this process; used with init_method only.
        no_spawn: whether the launcher started each rank; used with init_method only.
        port: of rank 0, or 0 to choose one.
    """

    world_size: int | None = None
    init_method: str | None = None
    rank: int = 0
    no_spawn: bool = False
    port: int = 0


@dataclass(frozen=True)
class RankLayout:
    """The ranks of a training, as seen from this process.

    Attributes:
        launcher: what started the ranks, for messages.
        world_size: number of ranks.
        rank: of this process, or of the first rank that it starts.
        local_ranks: number of ranks that this process starts; 1 if it is the rank itself.
        device: GPU of the (first) rank of this process; 0 on CPUs.
        init_method: address of the process group; None with a single rank.
    """

    launcher: str
    world_size: int = 1
    rank: int = 0
    local_ranks: int = 1
    device: int = 0
    init_method: str | None = None


def find_layout(options: LaunchOptions, environ: Mapping[str, str], gpus: int) -> RankLayout:
    """The layout that this process is part of.

    Args:
        options: of the configuration.
        environ: of this process.
        gpus: number of visible GPUs to use; 0 trains on CPUs.

    Raises:
        LayoutError: if there are too few or too many ranks, or they do not fit the devices.
    """
    if options.init_method:
        layout = _from_init_method(options, gpus)
    elif all(name in environ for name in TORCHRUN):
        layout = _from_torchrun(environ, gpus)
    elif "SLURM_JOB_ID" in environ and "SLURM_STEP_ID" in environ:
        layout = _from_slurm(options, environ, gpus)
    else:
        _check_outside_srun(environ)
        layout = _on_this_machine(options, gpus)
    if options.world_size not in (None, layout.world_size):
        raise LayoutError(
            f"distributed_training.distributed_world_size={options.world_size}, but {layout.launcher} started "
            f"{layout.world_size} ranks. Remove the option, or start {options.world_size} tasks."
        )
    return layout


def _from_init_method(options: LaunchOptions, gpus: int) -> RankLayout:
    """The layout of an explicit distributed_init_method."""
    world_size = options.world_size or 1
    if not options.no_spawn and not gpus:
        raise LayoutError(
            f"distributed_training.distributed_init_method={options.init_method} without distributed_no_spawn=true: on "
            f"CPUs each rank must be started separately. Set distributed_no_spawn=true and distributed_rank, or "
            f"remove distributed_init_method."
        )
    if not 0 <= options.rank < world_size:
        raise LayoutError(
            f"distributed_training.distributed_rank={options.rank}: expected 0 to {world_size - 1}, since "
            f"distributed_world_size is {world_size}."
        )
    local_ranks = 1 if options.no_spawn else min(gpus, world_size - options.rank)
    device = options.rank % gpus if gpus and options.no_spawn else 0
    return RankLayout("distributed_init_method", world_size, options.rank, local_ranks, device, options.init_method)


def _from_torchrun(environ: Mapping[str, str], gpus: int) -> RankLayout:
    local_rank, local_ranks = int(environ["LOCAL_RANK"]), int(environ.get("LOCAL_WORLD_SIZE", "1"))
    device = _device("torchrun", local_rank, local_ranks, gpus)
    return RankLayout("torchrun", int(environ["WORLD_SIZE"]), int(environ["RANK"]), 1, device, "env://")


def _from_slurm(options: LaunchOptions, environ: Mapping[str, str], gpus: int) -> RankLayout:
    """A task of a job step: one rank per task, or one rank per GPU if a node has one task and several GPUs."""
    nodes, tasks = int(environ["SLURM_STEP_NUM_NODES"]), int(environ["SLURM_STEP_NUM_TASKS"])
    ranks_per_task = gpus if gpus > 1 and tasks == nodes else 1
    rank = int(environ["SLURM_PROCID"]) * ranks_per_task
    device = 0
    if ranks_per_task == 1:
        device = _device("srun", int(environ["SLURM_LOCALID"]), _local_tasks(environ), gpus)
    launcher = f"srun ({nodes} nodes, {tasks} tasks)"
    if tasks * ranks_per_task == 1:
        return RankLayout(launcher)
    port = options.port or job_port(int(environ["SLURM_JOB_ID"]), int(environ["SLURM_STEP_ID"]))
    host = first_host(environ["SLURM_STEP_NODELIST"])
    return RankLayout(launcher, tasks * ranks_per_task, rank, ranks_per_task, device, f"tcp://{host}:{port}")


def _local_tasks(environ: Mapping[str, str]) -> int:
    """Number of tasks on this node, from a list such as ``2(x3),1``."""
    counts: list[int] = []
    for part in environ["SLURM_STEP_TASKS_PER_NODE"].split(","):
        tasks, _, repeats = part.rstrip(")").partition("(x")
        counts += [int(tasks)] * int(repeats or 1)
    return counts[int(environ["SLURM_NODEID"])]


def _device(launcher: str, local_rank: int, local_ranks: int, gpus: int) -> int:
    """The GPU of a rank: its own if all GPUs are visible, or the only visible one."""
    if gpus in (0, 1):
        return 0
    if local_ranks > gpus:
        raise LayoutError(
            f"{launcher} started {local_ranks} ranks on a machine with {gpus} GPUs, expected at most one per "
            f"GPU. Start {gpus} tasks per node, or set common.cpu=true."
        )
    return local_rank


def _check_outside_srun(environ: Mapping[str, str]) -> None:
    """Refuse a batch script with several tasks: it runs once, and srun or torchrun must start the tasks."""
    if int(environ.get("SUBMITIT_LOCAL_NTASKS", "1")) > 1:
        raise LayoutError(
            f"submitit's local launcher started {environ['SUBMITIT_LOCAL_NTASKS']} tasks, expected one. Set "
            f"hydra.launcher.tasks_per_node=1 and distributed_training.distributed_world_size."
        )
    tasks = int(environ.get("SLURM_NTASKS", "1")) if "SLURM_JOB_ID" in environ else 1
    if tasks > 1:
        raise LayoutError(
            f"job {environ['SLURM_JOB_ID']} has {tasks} tasks, but this process is not one of them. Start the "
            f"command with srun or torchrun (examples/slurm)."
        )


def _on_this_machine(options: LaunchOptions, gpus: int) -> RankLayout:
    world_size = options.world_size or max(1, gpus)
    if gpus and world_size > gpus:
        raise LayoutError(
            f"distributed_training.distributed_world_size={world_size}, but this machine has {gpus} GPUs. Start the "
            f"ranks with srun or torchrun, or lower the number; common.cpu=true trains on CPUs."
        )
    if world_size == 1:
        return RankLayout("this command")
    port = options.port or random.SystemRandom().randrange(FIRST_PORT, FIRST_PORT + PORTS)
    return RankLayout("this command", world_size, 0, world_size, 0, f"tcp://127.0.0.1:{port}")


def job_port(job: int, step: int) -> int:
    """A port that all ranks of a step compute alike, and that jobs on one machine rarely share."""
    return FIRST_PORT + (job + 1009 * step) % PORTS


def first_host(node_list: str) -> str:
    """The first host of a list such as ``node[3-5,9]``.

    Raises:
        LayoutError: if scontrol is missing or cannot read the list.
    """
    scontrol = shutil.which("scontrol")
    if scontrol is None:
        raise LayoutError(
            f"found no scontrol on PATH, which is needed to read Slurm's node list {node_list}. Add Slurm's commands "
            f"to PATH, or set distributed_training.distributed_init_method, distributed_rank and distributed_no_spawn."
        )
    done = subprocess.run([scontrol, "show", "hostnames", node_list], capture_output=True, text=True)
    if done.returncode or not done.stdout.split():
        raise LayoutError(
            f"scontrol show hostnames {node_list} failed: {done.stderr.strip()}. Check that Slurm works on this node."
        )
    return done.stdout.split()[0]
