"""Mean loss and accuracy of each epoch, stored as arrays in a JSON file."""

import json
from pathlib import Path

import numpy as np

from mert_fairseq.files import replacing
from mert_fairseq.reporting.training_log import Curve

HISTORY_FILE = "history.json"
ARRAYS = ("epoch", "updates", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


class EpochHistory:
    """One row per epoch with the values of ARRAYS. An epoch that runs again replaces its row and all later rows.

    So a run that resumes from an earlier checkpoint drops the rows that the killed run wrote after it, and a run that
    starts at epoch 1 drops all rows. ``rows`` is a plain list of dictionaries, so that a checkpoint can carry it.
    """

    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        self.rows = [] if rows is None else rows

    def put(self, row: dict[str, float]) -> None:
        """Append an epoch. Rows of this epoch and of later ones, left by an earlier run, are removed.

        Raises:
            ValueError: if the row does not have exactly the values of ARRAYS.
        """
        if set(row) != set(ARRAYS):
            raise ValueError(f"an epoch of the history has {sorted(row)}, expected {sorted(ARRAYS)}.")
        self.rows[:] = [old for old in self.rows if old["epoch"] < row["epoch"]] + [row]

    def arrays(self) -> dict[str, list[float]]:
        """Each of ARRAYS as a list with one value per epoch."""
        return {name: [row[name] for row in self.rows] for name in ARRAYS}

    def write(self, path: Path | str) -> None:
        """Write the arrays as JSON; create the folder if missing."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_text(json.dumps(self.arrays(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path | str) -> "EpochHistory":
        """Read what :meth:`write` wrote.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if the file is not a history, or its arrays differ in length.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such history. Training writes it after each epoch's validation.")
        try:
            arrays = json.loads(path.read_text(encoding="utf-8"))
            columns = [arrays[name] for name in ARRAYS]
            rows = [dict(zip(ARRAYS, values, strict=True)) for values in zip(*columns, strict=True)]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a training history ({error!r}). Expected JSON with {', '.join(ARRAYS)}, all of the "
                f"same length."
            ) from error
        return cls(rows)

    def curves(self, quantity: str) -> dict[str, Curve]:
        """Training and validation curves of ``loss`` or ``accuracy`` over epochs."""
        epochs = np.array([row["epoch"] for row in self.rows])
        named = {"training": f"train_{quantity}", "validation": f"valid_{quantity}"}
        return {label: Curve(epochs, np.array([row[key] for row in self.rows])) for label, key in named.items()}

    def best(self) -> dict[str, float]:
        """The row with the highest validation accuracy; the last of equal ones, like fairseq's best checkpoint."""
        return max(reversed(self.rows), key=lambda row: row["valid_accuracy"])
