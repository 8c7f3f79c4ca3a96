"""Data cards: what a data set is, which files it has, and where to get it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class DataCard:
    """Facts of a data set.

    Attributes:
        title: its name.
        url: its web page.
        licence: of the audio and of the labels, as its authors state it.
        citation: the paper to cite.
        layout: expected files in the data folder: path or pattern, and what it is.
        how: how to get it, in a few sentences.
        sizes: (train, valid, test) scored units of the published split, to recognise the real data.
        bad_files: clips of the published audio that are known to be corrupt, by id, with the reason.
        checksums: published MD5 or SHA-1 sums by path relative to the data folder.
        may_copy: whether the licence allows short copies of the audio in a report.
    """

    title: str
    url: str
    licence: str
    citation: str
    layout: dict[str, str]
    how: str
    sizes: tuple[int, int, int] | None = None
    bad_files: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    may_copy: bool = False

    def describe(self) -> str:
        """The card as text."""
        lines = [
            self.title,
            f"  from      {self.url}",
            f"  licence   {self.licence}",
            f"  cite      {self.citation}",
            f"  get it    {self.how}",
            "  expected in the data folder:",
            *(f"    {path:32s} {text}" for path, text in self.layout.items()),
        ]
        if self.sizes:
            lines.append(f"  train / valid / test: {' / '.join(f'{size:,}' for size in self.sizes)}")
        return "\n".join(lines)
