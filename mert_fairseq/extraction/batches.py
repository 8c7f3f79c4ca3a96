"""Windows of many files, grouped into batches of one length."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mert_fairseq.extraction.reading import FileWindow


class Item(NamedTuple):
    """A window, and the file it is of."""

    file: str
    window: FileWindow


def batches(items: Iterable[Item], batch_size: int, most_waiting: int) -> Iterator[list[Item]]:
    """Group windows of equal length, which need no padding.

    Args:
        items: in any order.
        batch_size: windows per batch at most.
        most_waiting: windows that may wait for others of their length; beyond that the largest group runs as it is.
    """
    waiting: dict[int, list[Item]] = {}
    for item in items:
        samples = len(item.window.window.wave)
        group = waiting.setdefault(samples, [])
        group.append(item)
        if len(group) >= batch_size or sum(map(len, waiting.values())) > most_waiting:
            yield waiting.pop(max(waiting, key=lambda length: len(waiting[length])))
    yield from waiting.values()
