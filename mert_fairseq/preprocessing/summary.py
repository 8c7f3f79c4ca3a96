"""The end of a run in one line for people and one object for programs."""

from collections import Counter
from dataclasses import asdict, dataclass

from mert_fairseq.preprocessing.examine_track import Track
from mert_fairseq.preprocessing.rejects import Reject


@dataclass(frozen=True)
class Summary:
    """What `build_manifests` did.

    Attributes:
        tracks: of each split.
        hours: of audio at the training rate, of each split.
        rejects: files refused, by reason.
        other_files: neither audio by name nor by content.
        scaled_down: tracks that went above full scale and were scaled as a whole.
        resumed: files that an earlier run had finished.
        elapsed_seconds: of this run.
    """

    tracks: dict[str, int]
    hours: dict[str, float]
    rejects: dict[str, int]
    other_files: int
    scaled_down: int
    resumed: int
    elapsed_seconds: float

    @classmethod
    def of(
        cls,
        tracks_of_split: dict[str, list[Track]],
        rejects: list[Reject],
        other_files: int,
        sample_rate: int,
        resumed: int,
        elapsed_seconds: float,
    ) -> "Summary":
        """Count; ``sample_rate`` in Hz."""
        return cls(
            tracks={split: len(tracks) for split, tracks in tracks_of_split.items()},
            hours={
                split: round(sum(track.samples for track in tracks) / sample_rate / 3600, 3)
                for split, tracks in tracks_of_split.items()
            },
            rejects=dict(sorted(Counter(str(reject.reason) for reject in rejects).items())),
            other_files=other_files,
            scaled_down=sum(track.gain < 1 for tracks in tracks_of_split.values() for track in tracks),
            resumed=resumed,
            elapsed_seconds=round(elapsed_seconds, 1),
        )

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        splits = ", ".join(f"{split} {n} tracks ({self.hours[split]:.2f} h)" for split, n in self.tracks.items())
        rejects = ", ".join(f"{count} {reason}" for reason, count in self.rejects.items()) or "none"
        notes = [f"rejects: {rejects}"]
        if self.scaled_down:
            notes.append(f"{self.scaled_down} scaled down to full scale")
        if self.resumed:
            notes.append(f"{self.resumed} files taken from the earlier run")
        if self.other_files:
            notes.append(f"{self.other_files} other files ignored")
        return f"{splits}; {'; '.join(notes)}; {self.elapsed_seconds:.1f} s"
