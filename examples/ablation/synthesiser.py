"""FluidSynth: notes to a wave at a stated level, the same bytes for the same calls."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pieces import Note

SAMPLE_RATE = 24_000
BLOCK = 64  # samples; notes start on its multiples, 2.7 ms at 24 kHz
GAIN = 0.35  # of FluidSynth: loud chords do not clip
LEVEL_DB, PEAK = -20.0, 0.98  # root mean square of a clip, and the peak that it may not exceed
SILENT = 2  # of 16 bits
SOUNDFONTS = ("FluidR3_GM.sf2", "TimGM6mb.sf2", "default-GM.sf2")


def find_soundfont(given: Path | None = None) -> Path:
    """The soundfont to use.

    Raises:
        FileNotFoundError: if there is none; says where to get one.
    """
    folder = Path("/usr/share/sounds/sf2")
    for path in [given] if given else [folder / name for name in SOUNDFONTS]:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f"{given or folder}: no soundfont. Install one (apt-get install fluid-soundfont-gm), or give the path "
        f"of a General MIDI soundfont with --soundfont."
    )


class Synthesiser:
    """One FluidSynth without chorus and reverb, whose modulation would carry over from clip to clip.

    Args:
        soundfont: General MIDI, .sf2.

    Raises:
        ValueError: if the soundfont cannot be loaded.
    """

    def __init__(self, soundfont: Path) -> None:
        import fluidsynth  # brings the library with it, which may be missing

        self.synth = fluidsynth.Synth(gain=GAIN, samplerate=float(SAMPLE_RATE))
        self.synth.setting("synth.chorus.active", 0)
        self.synth.setting("synth.reverb.active", 0)
        self.font = self.synth.sfload(str(soundfont))
        if self.font < 0:
            raise ValueError(f"{soundfont}: FluidSynth cannot load it. Expected a soundfont (.sf2) of General MIDI.")
        self.drawn = 0

    def render(self, notes: Sequence[Note], seconds: float, programs: Mapping[int, int]) -> np.ndarray:
        """A mono wave.

        Args:
            notes: their parts are channels.
            seconds: of the wave; longer notes are cut.
            programs: of each part, counted from 0.

        Returns:
            (T,) float32 with the level of :func:`at_level`.
        """
        self._silence()
        for part, program in programs.items():
            self.synth.program_select(part, self.font, 0, program)
        samples = round(seconds * SAMPLE_RATE)
        events = []
        for note in notes:
            if note.start < seconds:
                events.append((round(note.start * SAMPLE_RATE), 1, note))
                events.append((round(min(note.end, seconds) * SAMPLE_RATE), 0, note))
        blocks, now = [], 0
        for at, begins, note in sorted(events, key=lambda event: event[:2]):  # ends before beginnings
            blocks.append(self._draw(at - now))
            now = at
            if begins:
                self.synth.noteon(note.part, note.pitch, note.velocity)
            else:
                self.synth.noteoff(note.part, note.pitch)
        blocks.append(self._draw(samples - now))
        stereo = np.concatenate(blocks).astype(np.float32).reshape(-1, 2) / 32768
        return at_level(stereo.mean(1)[:samples])

    def _draw(self, samples: int) -> np.ndarray:
        self.drawn += samples
        return self.synth.get_samples(samples) if samples > 0 else np.zeros(0, dtype=np.int16)

    def _silence(self) -> None:
        """Let the last clip die away, and end on a multiple of a block."""
        self.synth.system_reset()
        self._draw(-self.drawn % BLOCK)
        for _ in range(200):
            if np.abs(self._draw(75 * BLOCK).astype(np.int32)).max() <= SILENT:
                return


def at_level(wave: np.ndarray) -> np.ndarray:
    """Scale to a root mean square of LEVEL_DB below full scale, or to a peak of PEAK if that is less; silence stays."""
    power, peak = float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))), float(np.abs(wave).max(initial=0.0))
    if not peak:
        return wave
    return (wave * min(10 ** (LEVEL_DB / 20) / power, PEAK / peak)).astype(np.float32)


def with_noise(wave: np.ndarray, snr_db: float, random: np.random.Generator) -> np.ndarray:
    """Add white noise whose power is ``snr_db`` decibels below that of the wave; the sum is at the level again."""
    noise = random.standard_normal(len(wave))
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    return at_level((wave + noise * np.sqrt(power / 10 ** (snr_db / 10))).astype(np.float32))
