"""The audio that a command names: files, and folders to any depth."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mert_fairseq.preprocessing.reject_reasons import Reject
from mert_fairseq.preprocessing.scan import Source, scan_folder


class Inputs(NamedTuple):
    """Audio files, by their paths relative to ``root``, and what a folder holds that looks like audio and is none."""

    root: Path
    sources: list[Source]
    rejects: list[Reject]


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """List the audio of files and folders; names are relative to the one folder given, or to the common parent.

    Raises:
        FileNotFoundError: if a path does not exist, or a folder holds no audio.
    """
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder. Correct its name.")
    resolved = [path.resolve() for path in paths]
    parents = [path if path.is_dir() else path.parent for path in resolved]
    root = Path(os.path.commonpath(parents))
    sources: dict[str, Source] = {}
    rejects: set[Reject] = set()
    for path, given in zip(resolved, paths, strict=True):
        if path.is_dir():
            scan = scan_folder(path)
            if not scan.sources:
                raise FileNotFoundError(f"{given}: no audio file in it. Give files, or a folder of music.")
            prefix = path.relative_to(root)
            found = [replace(source, path=(prefix / source.path).as_posix()) for source in scan.sources]
            rejects |= {reject._replace(path=(prefix / reject.path).as_posix()) for reject in scan.rejects}
        else:
            status = path.stat()
            found = [Source(path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns)]
        sources |= {source.path: source for source in found}
    return Inputs(root, sorted(sources.values()), sorted(rejects))
