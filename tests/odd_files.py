"""Files as recorders, tools and interrupted programs leave them."""

from pathlib import Path

from mert_fairseq.audio.ogg import END_OF_STREAM, ogg_checksum


def without_end_mark(source: Path, target: Path) -> Path:
    """An Ogg file, complete, whose last page does not carry the end-of-stream mark."""
    content = bytearray(source.read_bytes())
    page = content.rindex(b"OggS")
    content[page + 5] &= ~END_OF_STREAM
    content[page + 22 : page + 26] = bytes(4)
    content[page + 22 : page + 26] = ogg_checksum(bytes(content[page:])).to_bytes(4, "little")
    target.write_bytes(content)
    return target
