"""NSynth: family and pitch of single notes."""

import json
from pathlib import Path

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import ClassObjective
from mert_fairseq.probing.probe_data import SPLITS, Clip, ProbeData, class_names
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol

FAMILIES = (
    "bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal"
)  # fmt: skip
PITCHES = tuple(str(pitch) for pitch in range(128))

CARD = DataCard(
    title="NSynth",
    url="https://magenta.tensorflow.org/datasets/nsynth",
    licence="CC BY 4.0",
    citation="J. Engel et al. Neural Audio Synthesis of Musical Notes with WaveNet Autoencoders. ICML 2017.",
    layout={
        "nsynth-{train,valid,test}/examples.json": "pitch, instrument_family_str, ... by key",
        "nsynth-{train,valid,test}/audio/KEY.wav": "notes of 4 s, 16 kHz",
    },
    how="Fetch nsynth-{train,valid,test}.jsonwav.tar.gz from the data set's page and unpack them.",
    sizes=(289_205, 12_678, 4_096),
    may_copy=True,
)


class NSynth(ProbeTask):
    """One class per note, of the official split, in which train shares no instrument with the others."""

    folder, card, metrics = "nsynth", CARD, ("accuracy", "macro_f1")
    windows = Windows(seconds=4.0)
    max_epochs, lr_patience, stop_patience = 50, 3, 10

    def __init__(self, what: str, field: str, names: tuple[str, ...]) -> None:
        self.name, self.title, self.field, self.names = f"nsynth-{what}", f"NSynth {what}", field, names

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        clips = {}
        for split in SPLITS:
            path = self.needed(data, f"nsynth-{split}/examples.json")
            try:
                notes = json.loads(path.read_text(encoding="utf-8"))
                labels = {key: str(note[self.field]) for key, note in notes.items()}
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(f"{path}: cannot be read ({error!r}), expected {self.field} of each note.") from error
            class_names(labels.values(), self.names, str(path))
            clips[split] = [Clip(key, f"nsynth-{split}/audio/{key}.wav", label) for key, label in labels.items()]
        return ProbeData(data, self.names, clips)

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> ClassObjective:
        return ClassObjective(data.names)


TASKS: list[ProbeTask] = [
    NSynth("instrument", "instrument_family_str", FAMILIES),
    NSynth("pitch", "pitch", PITCHES),
]
