#!/usr/bin/env python
"""Draws docs/pipeline.svg, the picture of the README.

python docs/draw_pipeline.py
"""

from html import escape
from pathlib import Path

WIDTH, BOX, TALL, GAP = 1180, 200, 74, 45
BLUE, GREEN, ORANGE, GREY = "#dbe9f6", "#dff0d8", "#fdebd0", "#eeeeee"

# column, row, colour, title, lines below it
BOXES = {
    "audio": (0, 1, GREY, "folder of music", ("any format, or FMA",)),
    "manifest": (1, 1, BLUE, "manifests", ("make_manifest.py", "prepare_fma.py")),
    "labels": (2, 0, BLUE, "teacher labels", ("extract_rvq_labels.py", "kmeans_labels.py")),
    "check": (2, 2, BLUE, "data check", ("mert-check-data",)),
    "train": (3, 1, ORANGE, "pretraining", ("fairseq-hydra-train", "one process to Slurm")),
    "extract": (4, 0, GREEN, "features", ("mert-extract, load_mert",)),
    "hf": (4, 1, GREEN, "Hugging Face, ONNX", ("mert-export-hf", "mert-export-onnx")),
    "probe": (4, 2, GREEN, "probes, genres", ("mert-probe", "mert-genre")),
}
ARROWS = [
    ("audio", "manifest"),
    ("manifest", "labels"),
    ("manifest", "check"),
    ("labels", "check"),
    ("check", "train"),
    ("train", "extract"),
    ("train", "hf"),
    ("train", "probe"),
]


def corner(name: str) -> tuple[float, float]:
    """Left and top of a box."""
    column, row = BOXES[name][:2]
    return 10 + column * ((WIDTH - 20 - BOX) / 4), 10 + row * (TALL + GAP)


def box(name: str) -> str:
    """A box with its title and lines."""
    left, top = corner(name)
    _, _, colour, title, lines = BOXES[name]
    parts = [f'<rect x="{left:g}" y="{top:g}" width="{BOX}" height="{TALL}" rx="8" fill="{colour}" stroke="#555"/>']
    first = top + 30 - 6 * (len(lines) - 1)
    parts.append(f'<text x="{left + BOX / 2:g}" y="{first:g}" class="title">{escape(title)}</text>')
    for number, line in enumerate(lines, start=1):
        parts.append(f'<text x="{left + BOX / 2:g}" y="{first + 19 * number:g}">{escape(line)}</text>')
    return "\n".join(parts)


def arrow(source: str, target: str) -> str:
    """From the right side of a box to the left side of another, or straight down within a column."""
    (left, top), (to_left, to_top) = corner(source), corner(target)
    if left == to_left:
        return f'<path d="M{left + BOX / 2:g},{top + TALL:g} V{to_top - 4:g}" class="arrow"/>'
    x, y, to_x, to_y = left + BOX, top + TALL / 2, to_left - 4, to_top + TALL / 2
    middle = (x + to_x) / 2
    return f'<path d="M{x:g},{y:g} C{middle:g},{y:g} {middle:g},{to_y:g} {to_x:g},{to_y:g}" class="arrow"/>'


def main() -> None:
    """Write the picture beside this script."""
    height = 20 + 3 * TALL + 2 * GAP
    style = (
        "text{font:14px sans-serif;text-anchor:middle;fill:#222}.title{font-weight:bold;font-size:16px}"
        ".arrow{fill:none;stroke:#555;stroke-width:1.6;marker-end:url(#head)}"
    )
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker>'
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<title>From a folder of music to features</title><style>{style}</style><defs>{head}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *(arrow(*pair) for pair in ARROWS),
        *map(box, BOXES),
        "</svg>",
    ]
    Path(__file__).with_name("pipeline.svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
