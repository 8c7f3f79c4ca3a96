"""Reports as HTML pages with figures in the same folder, and text tables for the terminal."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; }
td { text-align: right; } td:first-child, th { text-align: left; } img { max-width: 100%; }
.good { color: #1a7f37; } .bad { color: #b3261e; font-weight: 600; }
"""


class Page:
    """Collects sections and writes ``index.html``. All texts are escaped."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.parts: list[str] = []

    def heading(self, text: str) -> None:
        """Start a section."""
        self.parts.append(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str, kind: str = "") -> None:
        """Add a paragraph; ``kind`` is "", "good" or "bad"."""
        self.parts.append(f'<p class="{escape(kind)}">{escape(text)}</p>')

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table. The first column is left-aligned, the others are right-aligned.

        Raises:
            ValueError: if a row and the header differ in length.
        """
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"row {list(row)} has {len(row)} cells, the header {list(header)} has {len(header)}")
        lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in header) + "</tr>"]
        lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        self.parts.append("<table>\n" + "\n".join(lines) + "\n</table>")

    def picture(self, path: Path, text: str) -> None:
        """Add a picture from the folder of the report; ``text`` is its alternative text and caption."""
        self.parts.append(f'<p><img src="{escape(path.name)}" alt="{escape(text)}"><br>{escape(text)}</p>')

    def link(self, target: str, text: str) -> None:
        """Add a link to another page, by its path relative to the folder of the report."""
        self.parts.append(f'<p><a href="{escape(target)}">{escape(text)}</a></p>')

    def sounds(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add audio players: rows of a text and the address of an audio file, which loads when it is played."""
        lines = [
            f'<p><audio controls preload="none" src="{escape(address)}"></audio><br>{escape(text)}</p>'
            for text, address in rows
        ]
        self.parts.append("\n".join(lines))

    def write(self, folder: Path) -> Path:
        """Write ``folder/index.html`` and return its path."""
        body = "\n".join(self.parts)
        path = folder / "index.html"
        path.write_text(
            f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(self.title)}</title>'
            f"<style>{STYLE}</style></head>\n<body>\n<h1>{escape(self.title)}</h1>\n{body}\n</body>\n</html>\n",
            encoding="utf-8",
        )
        return path


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as text. Columns are as wide as their longest cell; the first one is left-aligned.

    Args:
        header: the names of the columns.
        rows: one text per column.
    """
    widths = [max(len(row[place]) for row in (header, *rows)) for place in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
