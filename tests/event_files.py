"""Reads TensorBoard's event files with the protocol buffers of tensorboardX, without TensorBoard."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX.proto.event_pb2 import Event


def events(folder: Path) -> Iterator[Any]:
    """All events of a folder, file by file: records of length (8 bytes), checksum (4), data, checksum (4)."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            yield Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by name and update."""
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def images(folder: Path) -> dict[tuple[str, int], bytes]:
    """Encoded images by name and update."""
    pairs = [(event.step, value) for event in events(folder) for value in event.summary.value]
    return {(v.tag, step): v.image.encoded_image_string for step, v in pairs if v.HasField("image")}
