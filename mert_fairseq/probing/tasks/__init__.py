"""The tasks by name; each file of this folder is a family of data sets."""

from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.tasks import (
    emomusic,
    fma,
    giantsteps,
    gtzan,
    gtzan_rhythm,
    magnatagatune,
    mtg_jamendo,
    musdb18,
    nsynth,
    rendered,
    vocalset,
)

PAPER_TASKS: list[ProbeTask] = [
    *gtzan.TASKS,
    *gtzan_rhythm.TASKS,
    *giantsteps.TASKS,
    *emomusic.TASKS,
    *magnatagatune.TASKS,
    *mtg_jamendo.TASKS,
    *nsynth.TASKS,
    *vocalset.TASKS,
    *musdb18.TASKS,
]
TASKS: dict[str, ProbeTask] = {task.name: task for task in [*PAPER_TASKS, *fma.TASKS, *rendered.TASKS]}


def find_task(name: str) -> ProbeTask:
    """The task of a name.

    Raises:
        ValueError: if it does not exist.
    """
    if name not in TASKS:
        raise ValueError(f"found the task {name!r}, expected one of {', '.join(TASKS)}, or all.")
    return TASKS[name]
