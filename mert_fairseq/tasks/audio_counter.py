"""How much audio a training has processed, and how fast."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairseq.logging import metrics

SAMPLES = "audio_samples"


def clip_samples(sample: Mapping[str, Any]) -> int:
    """Samples of a batch's clips, without padding; 0 for an empty batch."""
    if not sample:
        return 0
    source = sample["net_input"]["source"]
    lengths = sample["net_input"].get("lengths")
    return source.numel() if lengths is None else int(lengths.sum())


class AudioCounter:
    """Adds up the audio of all updates, over all ranks and across resumes.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self.seconds = 0.0

    def log(self, logging_outputs: Sequence[Mapping[str, Any]]) -> None:
        """Log the hours heard so far, and seconds of audio per second; nothing for a validation, which has no key."""
        samples = sum(output.get(SAMPLES, 0) for output in logging_outputs)
        if not samples:
            return
        seconds = float(samples) / self._sample_rate
        self.seconds += seconds
        # weight 0: fairseq shows the last value, not a mean
        metrics.log_scalar("audio_hours", self.seconds / 3600, weight=0, priority=195, round=5)
        metrics.log_speed("audio_per_second", seconds, priority=95, round=1)
