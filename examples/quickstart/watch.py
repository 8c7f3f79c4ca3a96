"""Run a training with its output in a log file and a progress bar on the screen; the end of the log if it fails.

    python examples/quickstart/watch.py --updates 1500 --start 0 --log train.log -- fairseq-hydra-train ...

The exit status is the command's.
"""

import argparse
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

from tqdm import tqdm

INNER = re.compile(r'"loss": "([\d.]+)".*"num_updates": "(\d+)"')
ACCURACY = re.compile(r'"accuracy_m_0": "([\d.]+)"')
LINES_SHOWN = 30  # of the log of a training that failed


def watch(command: list[str], log: Path, start: int, updates: int) -> int:
    """Run the command; its lines go to ``log``, its updates move the bar. Returns its exit status."""
    last: deque[str] = deque(maxlen=LINES_SHOWN)
    with (
        log.open("w", encoding="utf-8") as file,
        tqdm(initial=start, total=updates, desc="training", unit="update") as bar,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process,
    ):
        for line in process.stdout or ():
            file.write(line)
            file.flush()
            last.append(line)
            if found := INNER.search(line):
                accuracy = ACCURACY.search(line)
                bar.set_postfix(loss=found[1], accuracy_0=accuracy[1] if accuracy else "?", refresh=False)
                bar.update(int(found[2]) - bar.n)
    if process.returncode != 0:
        print("".join(last), file=sys.stderr)
        print(f"The training failed with status {process.returncode}; the whole log is {log}", file=sys.stderr)
    return process.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, required=True, help="where the training ends")
    parser.add_argument("--start", type=int, default=0, help="where it begins")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- and the command")
    arguments = parser.parse_args()
    sys.exit(watch(arguments.command[1:], arguments.log, arguments.start, arguments.updates))


if __name__ == "__main__":
    main()
