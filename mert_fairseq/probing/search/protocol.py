"""The settings of a search, and its runs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any, NamedTuple

from mert_fairseq.probing.beats.beat_events import WIDENING

ALL_LAYERS = -1  # as a choice of layer: the weighted sum of layers 1 to L
LEARNING_RATES = (5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2)
FIRST_SEED = 1234  # of MARBLE
HEADS = ("mlp", "linear")
PROTOCOLS = ("default", "marble", "quick")
QUICK_RATES = (1e-3, 1e-2)
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Protocol:
    """How heads are trained and chosen.

    Attributes:
        name: "marble" for exactly MARBLE's constrained track, "default" for settings that suit any model, "quick" for
            a search of some minutes (:data:`QUICK`).
        head: "mlp" (one hidden layer with ReLU) or "linear".
        hidden: units of the hidden layer.
        dropout: on the hidden layer, or on the features of a linear head: share of zeros.
        learning_rates: of Adam, searched.
        seeds: each determines initial weights, order of clips and dropout.
        layers: states to search, with ALL_LAYERS for the weighted sum; None for all states of the model.
        batch_clips: clips per update.
        max_epochs: at most.
        lr_patience: epochs without a better validation score after which the learning rate is halved.
        stop_patience: epochs without a better validation score after which a run ends.
        precision: of the heads' matrix products: "float32", or "bfloat16" with parameters and sums in float32, several
            times as fast on processors that support it.
        normalize: "model" (clips standardised if the model's training did so), "on" or "off".
        beat_labels: widening of beat labels in training: :data:`mert_fairseq.probing.beats.beat_events.WIDENING`.
    """

    name: str = "default"
    head: str = "mlp"
    hidden: int = 512
    dropout: float = 0.2
    learning_rates: tuple[float, ...] = LEARNING_RATES
    seeds: tuple[int, ...] = tuple(range(FIRST_SEED, FIRST_SEED + 5))
    layers: tuple[int, ...] | None = None
    batch_clips: int = 64
    max_epochs: int = 100
    lr_patience: int = 6
    stop_patience: int = 20
    precision: str = "float32"
    normalize: str = "model"
    beat_labels: str = "v1"

    def __post_init__(self) -> None:
        if self.name not in PROTOCOLS or self.head not in HEADS or self.normalize not in ("model", "on", "off"):
            raise ValueError(f"protocol {self.name!r}, head {self.head!r} or normalize {self.normalize!r} is unknown.")
        if self.beat_labels not in WIDENING:
            raise ValueError(f"found the beat labels {self.beat_labels!r}, expected one of {', '.join(WIDENING)}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"found the precision {self.precision!r}, expected one of {', '.join(PRECISIONS)}.")
        if not self.learning_rates or not self.seeds:
            raise ValueError("found no learning rates or no seeds, expected at least one of each.")

    @property
    def settings(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    def is_published(self) -> bool:
        """Whether results compare with published ones: the full constrained track of MARBLE."""
        full = replace(Protocol("marble", normalize="on"), max_epochs=self.max_epochs, precision=self.precision)
        full = replace(full, lr_patience=self.lr_patience, stop_patience=self.stop_patience)
        return self == full


# For many small models on small sets: a minute or less per task on one CPU thread, extraction aside.
QUICK = Protocol(
    name="quick",
    head="linear",
    dropout=0.0,
    learning_rates=QUICK_RATES,
    seeds=(FIRST_SEED,),
    batch_clips=16,
    max_epochs=40,
    lr_patience=3,
    stop_patience=8,
)
QUICK_SECONDS = 15.0  # of each clip


class Run(NamedTuple):
    """One head: the state that it reads (or ALL_LAYERS), its learning rate and its seed."""

    layer: int
    learning_rate: float
    seed: int


def layer_choices(protocol: Protocol, num_states: int) -> list[int]:
    """The states to search: each single one, and the weighted sum where there are at least two Transformer layers.

    Raises:
        ValueError: if the protocol names a state that the model does not have.
    """
    possible = [*range(num_states), *([ALL_LAYERS] if num_states > 2 else [])]
    if protocol.layers is None:
        return possible
    if wrong := [layer for layer in protocol.layers if layer not in possible]:
        raise ValueError(
            f"found layer {layer_name(wrong[0])}, expected some of {', '.join(map(layer_name, possible))}: these are "
            f"the layers of the model."
        )
    return list(protocol.layers)


def layer_name(layer: int) -> str:
    """For people and files: the number, or "all" for the weighted sum."""
    return "all" if layer == ALL_LAYERS else str(layer)


def plan_chunks(protocol: Protocol, num_states: int, runs_at_once: int) -> list[list[Run]]:
    """All runs, in groups that are trained together.

    A group holds all seeds of its learning rates, and either single layers or the weighted sum.

    Args:
        protocol: what to search.
        num_states: of the encoder.
        runs_at_once: the largest group; at least one learning rate with all its seeds.
    """
    chunks: list[list[Run]] = []
    choices = layer_choices(protocol, num_states)
    for kind in ([layer for layer in choices if layer != ALL_LAYERS], [ALL_LAYERS] * (ALL_LAYERS in choices)):
        cells = [[Run(layer, rate, seed) for seed in protocol.seeds] for layer in kind for rate in _rates(protocol)]
        size = max(1, runs_at_once // len(protocol.seeds))
        chunks += [list(chain(*cells[start : start + size])) for start in range(0, len(cells), size)]
    return chunks


def _rates(protocol: Protocol) -> Sequence[float]:
    return sorted(set(protocol.learning_rates))
