"""Which ranks a training has: what Slurm, torchrun or the options say, as one description.

fairseq's own inference counts GPUs, so that on CPUs it trains nothing, crashes or divides by zero, and without
``scontrol`` every task believes that it is rank 0. Here a layout is complete or an error.
"""

import random
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_PORT, PORTS = 12_000, 20_000  # below Linux's own range for outgoing connections, from 32,768
TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "LOCAL_RANK")


class LayoutError(ValueError):
    """Ranks that cannot train together: the message says what was found, what was expected and the remedy."""


@dataclass(frozen=True)
class Wishes:
    """What the configuration says.

    Attributes:
        world_size: ranks, or None if it is left to the launcher.
        init_method: where ranks meet, such as tcp://host:port, or None.
        rank: of this process; counts with init_method only.
        no_spawn: whether each rank was started by the launcher; counts with init_method only.
        port: of rank 0, or 0 to choose one.
    """

    world_size: int | None = None
    init_method: str | None = None
    rank: int = 0
    no_spawn: bool = False
    port: int = 0


@dataclass(frozen=True)
class Layout:
    """The ranks of a training, as this process sees them.

    Attributes:
        launcher: who started them, for people.
        world_size: ranks.
        rank: of this process, or of the first that it starts.
        local_ranks: ranks that this process starts; 1: it is the rank itself.
        device: GPU of this process's (first) rank; 0 on CPUs.
        init_method: where ranks meet; None if there is one.
    """

    launcher: str
    world_size: int = 1
    rank: int = 0
    local_ranks: int = 1
    device: int = 0
    init_method: str | None = None


def find_layout(wishes: Wishes, environ: Mapping[str, str], gpus: int) -> Layout:
    """The layout that this process is part of.

    Args:
        wishes: of the configuration.
        environ: of this process.
        gpus: that this process sees and shall use; 0 trains on CPUs.

    Raises:
        LayoutError: if ranks are missing or too many, or do not fit the devices.
    """
    if wishes.init_method:
        layout = _given(wishes, gpus)
    elif all(name in environ for name in TORCHRUN):
        layout = _torchrun(environ, gpus)
    elif "SLURM_JOB_ID" in environ and "SLURM_STEP_ID" in environ:
        layout = _slurm(wishes, environ, gpus)
    else:
        _check_outside_srun(environ)
        layout = _this_machine(wishes, gpus)
    if wishes.world_size not in (None, layout.world_size):
        raise LayoutError(
            f"distributed_training.distributed_world_size={wishes.world_size}, but {layout.launcher} started "
            f"{layout.world_size} ranks. Leave the option out, or start {wishes.world_size} tasks."
        )
    return layout


def _given(wishes: Wishes, gpus: int) -> Layout:
    """An explicit distributed_init_method."""
    world_size = wishes.world_size or 1
    if not wishes.no_spawn and not gpus:
        raise LayoutError(
            f"distributed_training.distributed_init_method={wishes.init_method} without distributed_no_spawn=true: on "
            f"CPUs each rank has to be started. Set distributed_no_spawn=true and distributed_rank, or leave "
            f"distributed_init_method out."
        )
    if not 0 <= wishes.rank < world_size:
        raise LayoutError(
            f"distributed_training.distributed_rank={wishes.rank}: expected 0 to {world_size - 1}, since "
            f"distributed_world_size is {world_size}."
        )
    local_ranks = 1 if wishes.no_spawn else min(gpus, world_size - wishes.rank)
    device = wishes.rank % gpus if gpus and wishes.no_spawn else 0
    return Layout("distributed_init_method", world_size, wishes.rank, local_ranks, device, wishes.init_method)


def _torchrun(environ: Mapping[str, str], gpus: int) -> Layout:
    local_rank, local_ranks = int(environ["LOCAL_RANK"]), int(environ.get("LOCAL_WORLD_SIZE", "1"))
    device = _device("torchrun", local_rank, local_ranks, gpus)
    return Layout("torchrun", int(environ["WORLD_SIZE"]), int(environ["RANK"]), 1, device, "env://")


def _slurm(wishes: Wishes, environ: Mapping[str, str], gpus: int) -> Layout:
    """A task of a job step: a rank each, or a rank each GPU where a node has one task and several GPUs."""
    nodes, tasks = int(environ["SLURM_STEP_NUM_NODES"]), int(environ["SLURM_STEP_NUM_TASKS"])
    ranks_each = gpus if gpus > 1 and tasks == nodes else 1
    rank = int(environ["SLURM_PROCID"]) * ranks_each
    device = 0
    if ranks_each == 1:
        device = _device("srun", int(environ["SLURM_LOCALID"]), _local_tasks(environ), gpus)
    launcher = f"srun ({nodes} nodes, {tasks} tasks)"
    if tasks * ranks_each == 1:
        return Layout(launcher)
    port = wishes.port or job_port(int(environ["SLURM_JOB_ID"]), int(environ["SLURM_STEP_ID"]))
    host = first_host(environ["SLURM_STEP_NODELIST"])
    return Layout(launcher, tasks * ranks_each, rank, ranks_each, device, f"tcp://{host}:{port}")


def _local_tasks(environ: Mapping[str, str]) -> int:
    """Tasks on this node, from a list such as ``2(x3),1``."""
    counts: list[int] = []
    for part in environ["SLURM_STEP_TASKS_PER_NODE"].split(","):
        tasks, _, repeats = part.rstrip(")").partition("(x")
        counts += [int(tasks)] * int(repeats or 1)
    return counts[int(environ["SLURM_NODEID"])]


def _device(launcher: str, local_rank: int, local_ranks: int, gpus: int) -> int:
    """The GPU of a rank: its own where all are seen, the only one where the launcher bound one to each."""
    if gpus in (0, 1):
        return 0
    if local_ranks > gpus:
        raise LayoutError(
            f"{launcher} started {local_ranks} ranks on a machine with {gpus} GPUs, expected at most one a GPU. Start "
            f"{gpus} tasks a node, or set common.cpu=true."
        )
    return local_rank


def _check_outside_srun(environ: Mapping[str, str]) -> None:
    """A batch script with several tasks runs once: the others have to be started."""
    if int(environ.get("SUBMITIT_LOCAL_NTASKS", "1")) > 1:
        raise LayoutError(
            f"submitit's local launcher started {environ['SUBMITIT_LOCAL_NTASKS']} tasks, expected one. Set "
            f"hydra.launcher.tasks_per_node=1 and distributed_training.distributed_world_size."
        )
    tasks = int(environ.get("SLURM_NTASKS", "1")) if "SLURM_JOB_ID" in environ else 1
    if tasks > 1:
        raise LayoutError(
            f"job {environ['SLURM_JOB_ID']} has {tasks} tasks, but this process is none of them. Start the command "
            f"with srun or torchrun (examples/slurm)."
        )


def _this_machine(wishes: Wishes, gpus: int) -> Layout:
    world_size = wishes.world_size or max(1, gpus)
    if gpus and world_size > gpus:
        raise LayoutError(
            f"distributed_training.distributed_world_size={world_size}, but this machine has {gpus} GPUs. Start the "
            f"ranks with srun or torchrun, or lower it; common.cpu=true trains on CPUs."
        )
    if world_size == 1:
        return Layout("this command")
    port = wishes.port or random.SystemRandom().randrange(FIRST_PORT, FIRST_PORT + PORTS)
    return Layout("this command", world_size, 0, world_size, 0, f"tcp://127.0.0.1:{port}")


def job_port(job: int, step: int) -> int:
    """A port that jobs on one machine seldom share, and that all ranks of a step know without talking."""
    return FIRST_PORT + (job + 1009 * step) % PORTS


def first_host(node_list: str) -> str:
    """The first host of a list such as ``node[3-5,9]``.

    Raises:
        LayoutError: if Slurm's scontrol is not there to read it, or cannot.
    """
    scontrol = shutil.which("scontrol")
    if scontrol is None:
        raise LayoutError(
            f"found no scontrol on PATH, which reads Slurm's list of nodes {node_list}. Put Slurm's commands on PATH, "
            f"or set distributed_training.distributed_init_method, distributed_rank and distributed_no_spawn."
        )
    done = subprocess.run([scontrol, "show", "hostnames", node_list], capture_output=True, text=True)
    if done.returncode or not done.stdout.split():
        raise LayoutError(f"scontrol show hostnames {node_list} failed: {done.stderr.strip()}")
    return done.stdout.split()[0]
