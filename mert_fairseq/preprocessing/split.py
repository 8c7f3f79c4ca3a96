"""Which tracks are held out: whole albums or artists, drawn by a seed, about as much music as was asked for."""

import hashlib
from collections import defaultdict
from pathlib import PurePosixPath


def group_of(path: str, group_by: str) -> str:
    """The folder that keeps a track together with others.

    Args:
        path: relative, with ``/``.
        group_by: ``folder``, the parent folder; ``file``, the track alone; or a number, that many folders from the top
            (1: the artist in artist/album/track). A track that lies directly in the root is alone.
    """
    folders = PurePosixPath(path).parent.parts
    if group_by == "file" or not folders:
        return path
    if group_by == "folder":
        return "/".join(folders) + "/"
    return "/".join(folders[: int(group_by)]) + "/"


def check_split(valid_fraction: float, group_by: str) -> None:
    """Refuse a share or a grouping that means nothing.

    Raises:
        ValueError: naming the option.
    """
    if not 0 <= valid_fraction < 1:
        raise ValueError(f"--valid-fraction is {valid_fraction:g}, expected a share from 0 to below 1, such as 0.02.")
    if group_by not in ("folder", "file") and not (group_by.isdecimal() and int(group_by) > 0):
        raise ValueError(
            f"--group-by is {group_by!r}, expected 'folder', 'file' or a number of folders from the top such as 1."
        )


def held_out_groups(samples_of_path: dict[str, int], valid_fraction: float, seed: int, group_by: str) -> set[str]:
    """Draw the groups whose tracks go to ``valid``.

    Groups come in an order that only the seed and their names decide; each is taken if it still fits into the share. If
    none fits, the shortest is taken.

    Args:
        samples_of_path: length of each track, in samples.
        valid_fraction: share of the samples to hold out, 0 for none.
        seed: of the order.
        group_by: as in `group_of`.

    Raises:
        ValueError: if all tracks are in one group.
    """
    samples_of_group: dict[str, int] = defaultdict(int)
    for path, samples in samples_of_path.items():
        samples_of_group[group_of(path, group_by)] += samples
    if valid_fraction == 0:
        return set()
    if len(samples_of_group) < 2:
        raise ValueError(
            f"all {len(samples_of_path)} tracks belong to {next(iter(samples_of_group), 'no group')!r}, so none can be "
            f"held out without splitting it. Use --group-by file to split it, or --valid-fraction 0 for no valid.tsv."
        )
    allowed = valid_fraction * sum(samples_of_path.values())
    chosen: set[str] = set()
    held_out = 0
    for group in sorted(samples_of_group, key=lambda name: _draw(name, seed)):
        if held_out + samples_of_group[group] <= allowed:
            chosen.add(group)
            held_out += samples_of_group[group]
    return chosen or {min(samples_of_group, key=lambda name: (samples_of_group[name], _draw(name, seed)))}


def _draw(group: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}:{group}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
