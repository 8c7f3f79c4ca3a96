"""Whether a file's bytes are all there and all reached, where the decoder does not tell.

It shortens cut WAV, AIFF, AU and Ogg files in silence, and of what was joined from several it may read the first alone.
FLAC and cut MP3 need nothing here: their decoder stops early or stumbles, and the count of samples shows it. An MP3
without a length header that was cut at a frame cannot be told from a shorter song.
"""

from pathlib import Path

from mert_fairseq.audio.mpeg import riff_mpeg_span
from mert_fairseq.audio.mpeg_length import unreached_seconds
from mert_fairseq.preprocessing.integrity.ogg_pages import ogg_fault
from mert_fairseq.preprocessing.integrity.reasons import Reason
from mert_fairseq.preprocessing.integrity.riff_chunks import chunks_fault

TOLERATED_SECONDS = 1.0  # behind the length that an MP3 states: encoders miscount, and rubbish can look like a frame


def container_fault(path: Path, container: str) -> tuple[Reason, str] | None:
    """What a file lacks or hides, as (reason, detail); None if it is whole or its container does not tell.

    Args:
        container: as `signatures.content_of` names it.

    Raises:
        OSError: if the file cannot be read.
    """
    if container == "ogg":
        return ogg_fault(path)
    riff_mpeg = riff_mpeg_span(path)
    if container in ("wav", "aiff", "au", "w64") or riff_mpeg is not None:
        with path.open("rb") as stream:
            if fault := chunks_fault(stream, path.stat().st_size):
                return fault
    if container == "mpeg" or riff_mpeg is not None:
        seconds = unreached_seconds(path)
        if seconds > TOLERATED_SECONDS:
            return Reason.HIDDEN_AUDIO, f"{seconds:.1f} s follow the length that the first frame states"
    return None
