#!/usr/bin/env python
"""Download FMA's archives, check their SHA-1, unpack them. After an interruption, the same command resumes.

    python preprocess/fetch_fma.py metadata small --to data/fma      # downloads 7.6 GiB, needs 15.5 GiB
    python preprocess/fetch_fma.py metadata small --to data/fma --step unpack

The archives: metadata (342 MiB), small (7.2 GiB), medium (22 GiB), large (93 GiB), full (879 GiB). Each track has
the licence that its artist chose; see mert_fairseq/fma/__init__.py.
"""

import argparse
import sys
from pathlib import Path

from mert_fairseq.arguments import Help, check_checkout
from mert_fairseq.fma.constants import ARCHIVES, DOWNLOAD_URL
from mert_fairseq.fma.download import download, unpack
from mert_fairseq.jobs.command import run_command


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=Help)
    options.add_argument("archives", nargs="+", choices=ARCHIVES, help="which archives")
    options.add_argument("--to", type=Path, required=True, metavar="DIR", help="gets the zip files and their folders")
    options.add_argument(
        "--step", choices=("all", "download", "unpack"), default="all", help="one of the two steps only"
    )
    options.add_argument("--url", default=DOWNLOAD_URL, help="of a mirror with the same files")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Parse, fetch, unpack; returns the exit status."""
    options = parser().parse_args(arguments)

    def fetch() -> str:
        lines = []
        for name in options.archives:
            archive = ARCHIVES[name]
            if options.step in ("all", "download"):
                lines.append(f"{download(archive, options.to, options.url)}: SHA-1 {archive.sha1} as published")
            if options.step in ("all", "unpack"):
                count = unpack(options.to / archive.name, options.to)
                lines.append(f"{options.to / archive.folder}: {count} files unpacked")
        return "\n".join(lines)

    return run_command("fetch_fma", fetch)


if __name__ == "__main__":
    check_checkout(__file__)
    sys.exit(main())
