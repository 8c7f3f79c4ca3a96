"""Mean loss and accuracy of every epoch, as arrays in a JSON file."""

import json
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.reporting.training_log import Curve

HISTORY_FILE = "history.json"
ARRAYS = ("epoch", "updates", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


class EpochHistory:
    """One row an epoch, each with the values of ARRAYS; an epoch that is run again replaces its row.

    A run that resumes from an earlier epoch's checkpoint so drops what the killed run had written since, and a run
    from epoch 1 drops all. ``rows`` is a plain list of dictionaries, which a checkpoint can carry.
    """

    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        self.rows = [] if rows is None else rows

    def put(self, row: dict[str, float]) -> None:
        """Append an epoch; rows of this epoch and later ones, which an earlier run left, go.

        Raises:
            ValueError: if the row has not the values of ARRAYS.
        """
        if set(row) != set(ARRAYS):
            raise ValueError(f"an epoch of the history has {sorted(row)}, expected {sorted(ARRAYS)}.")
        self.rows[:] = [old for old in self.rows if old["epoch"] < row["epoch"]] + [row]

    def arrays(self) -> dict[str, list[float]]:
        """Each of ARRAYS as a list, one value an epoch."""
        return {name: [row[name] for row in self.rows] for name in ARRAYS}

    def write(self, path: Path | str) -> None:
        """Write the arrays as JSON; the folder is made if it is not there."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(self.arrays(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path | str) -> "EpochHistory":
        """Read what :meth:`write` wrote.

        Raises:
            FileNotFoundError: if it is not there.
            ValueError: if it is no such file, or its arrays differ in length.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such history. The training writes it after each epoch's validation.")
        try:
            arrays = json.loads(path.read_text(encoding="utf-8"))
            columns = [arrays[name] for name in ARRAYS]
            rows = [dict(zip(ARRAYS, values, strict=True)) for values in zip(*columns, strict=True)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: no history of a training ({error!r}). Expected JSON with {', '.join(ARRAYS)}, all of one "
                f"length."
            ) from error
        return cls(rows)

    def curves(self, quantity: str) -> dict[str, Curve]:
        """``loss`` or ``accuracy`` over epochs, of training and validation."""
        epochs = np.array([row["epoch"] for row in self.rows])
        named = {"training": f"train_{quantity}", "validation": f"valid_{quantity}"}
        return {label: Curve(epochs, np.array([row[key] for row in self.rows])) for label, key in named.items()}

    def best(self) -> dict[str, float]:
        """The row of the highest validation accuracy; the last of equals, as fairseq keeps its best checkpoint."""
        return max(reversed(self.rows), key=lambda row: row["valid_accuracy"])
