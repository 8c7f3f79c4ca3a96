"""GTZAN Rhythm: beats and downbeats of GTZAN's clips."""

import json
from pathlib import Path

from mert_fairseq.probing.data_card import DataCard
from mert_fairseq.probing.features.waves import Windows
from mert_fairseq.probing.objectives import BeatObjective, beat_objective
from mert_fairseq.probing.probe_data import Clip, ProbeData
from mert_fairseq.probing.probe_task import ProbeTask
from mert_fairseq.probing.search.protocol import Protocol
from mert_fairseq.probing.tasks import gtzan

CARD = DataCard(
    title="GTZAN Rhythm",
    url="http://anasynth.ircam.fr/home/media/GTZAN-rhythm",
    licence="annotations free for research; audio as GTZAN",
    citation="U. Marchand, Q. Fresnel, G. Peeters. GTZAN-Rhythm: Extending the GTZAN Test-Set with Beat, Downbeat and "
    "Swing Annotations. ISMIR late-breaking, 2015.",
    layout={**gtzan.CARD.layout, "rhythm/blues.00000.wav.jams": "GTZAN-Rhythm v2, one JAMS file per clip"},
    how="As gtzan-genre, and the folder jams of GTZAN-Rhythm_v2_ismir2015_lbd_2015-10-28 as rhythm.",
    sizes=gtzan.CARD.sizes,
    bad_files={
        **gtzan.CARD.bad_files,
        "reggae/reggae.00002.wav": "has beats beyond its audio; they are ignored",
        **{f"jazz/jazz.{n:05d}.wav": "has no downbeats" for n in (9, 10, 14, 18, 20)},
    },
)


def read_jams(path: Path) -> dict[str, list[float]]:
    """Times of beats and downbeats in seconds, ascending.

    Raises:
        ValueError: if it is no JAMS file with annotations of beats.
    """
    try:
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
        found = {
            kind: sorted(
                float(event["time"])
                for annotation in annotations
                if annotation["namespace"] == "beat" and annotation["sandbox"].get("annotation_type") == kind
                for event in annotation["data"]
            )
            for kind in ("beat", "downbeat")
        }
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as JAMS ({error!r}). Fetch GTZAN-Rhythm v2 again.") from error
    if not found["beat"]:
        raise ValueError(f"{path}: found no beats, expected annotations of the namespace beat. Fetch v2 of 2015-10-28.")
    return found


class GTZANBeats(ProbeTask):
    """Beats and downbeats, frame by frame."""

    name, folder, title = "gtzan-beats", "gtzan", "GTZAN beats"
    card, metrics = CARD, ("beat_f", "beat_f_peaks", "downbeat_f")
    windows = Windows(pad_seconds=30.0, peak=True, frames=True)
    crop_seconds = 10.0
    lr_patience, stop_patience = 6, 20

    def read(self, data: Path, work: Path | None = None) -> ProbeData:
        lists, left_out = gtzan.read_lists(self, data)
        self.needed(data, "rhythm")
        clips = {
            split: [
                Clip(name, f"genres/{name}", read_jams(self.needed(data, f"rhythm/{Path(name).name}.jams")))
                for name in names
            ]
            for split, names in lists.items()
        }
        return ProbeData(data, ("beat", "downbeat"), clips, left_out)

    def is_published(self, data: ProbeData) -> bool:
        train, valid, test = data.sizes.values()
        return (train + len(data.left_out), valid, test) == CARD.sizes

    def objective(self, data: ProbeData, protocol: Protocol, rate_hz: float) -> BeatObjective:
        return beat_objective(rate_hz, protocol.beat_labels, "network" if protocol.name == "marble" else "peaks")


TASKS: list[ProbeTask] = [GTZANBeats()]
