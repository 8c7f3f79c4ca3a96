"""The folder of converted files: whose it is, and that one run at a time writes there.

Converted files are named after their sources, so the files of two data sets, or of two sample rates, would take each
other's place, and the manifests made first would list audio that is no longer theirs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from mert_fairseq.files import write_lines
from mert_fairseq.jobs.locks import FileLock
from mert_fairseq.preprocessing.examine_track import Settings

OWNER_FILE = ".owner.json"
LOCK_FILE = ".lock"


@contextmanager
def converted_folder(settings: Settings) -> Iterator[None]:
    """Make ``settings.convert_to`` ours while the ``with`` block runs, and delete what a killed run was writing there.

    A folder without an owner is taken over. Nothing happens if there is no conversion.

    Raises:
        BlockingIOError: if another run is writing there.
        ValueError: if it holds what was made of other sources or at another rate.
    """
    folder = settings.convert_to
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    owner = json.dumps({"audio_dir": str(settings.audio_dir), "sample_rate": settings.sample_rate})
    with FileLock(folder / LOCK_FILE, "Wait for it to end, or give another folder (--convert-to)."):
        owner_path = folder / OWNER_FILE
        found = owner_path.read_text(encoding="ascii").strip() if owner_path.is_file() else ""
        if found and found != owner:
            raise ValueError(
                f"{folder}: holds what was made of {found}, expected {owner}. Give another folder (--convert-to), or "
                f"delete this one if no manifest needs it."
            )
        if not found:
            write_lines(owner_path, [owner])
        for leftover in folder.rglob(".*.partial"):
            leftover.unlink(missing_ok=True)
        yield
