"""Keep the sidecars of labels right when labels are written, replaced or copied."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from mert_fairseq.files import replacing
from mert_fairseq.labels.packed import PackedLabels
from mert_fairseq.labels.packed_index import family_name
from mert_fairseq.labels.provenance import read_sidecars
from mert_fairseq.labels.reader import JoinedLabels


def write_record(path: Path, sidecar: Mapping[str, Any]) -> None:
    """Write a sidecar."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(sidecar, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def forget_columns(label_dir: Path, split: str, columns: Collection[str]) -> None:
    """Take labels that are about to be replaced out of the sidecars; a sidecar of nothing else is removed."""
    for path, sidecar in list(read_sidecars(label_dir, split)):
        if kept := [column for column in sidecar["columns"] if column not in columns]:
            if len(kept) < len(sidecar["columns"]):
                write_record(path, part_of_sidecar(sidecar, kept))
        else:
            path.unlink()


def carry_records(
    labels: JoinedLabels,
    label_dir: Path,
    split: str,
    out_dir: Path,
    out_split: str | None = None,
    changes: Mapping[str, Any] | None = None,
) -> None:
    """Write the sidecars of labels that were copied, in the place of what was recorded for their names.

    Columns of the same job that were copied before stay in its sidecar.

    Args:
        labels: that were read.
        label_dir: their folder.
        split: theirs.
        out_dir: folder of the copies.
        out_split: of the copies; ``split`` if None.
        changes: to the record of the job, for copies of other tracks; the statistics are left out then.
    """
    carried = _records_to_carry(labels, label_dir, split)
    out_split = out_split or split
    there = {path.name: sidecar for path, sidecar in read_sidecars(out_dir, out_split)}
    forget_columns(out_dir, out_split, labels.columns)
    for ending, sidecar in carried.items():
        if changes is not None:
            kept_keys = {key: value for key, value in sidecar.items() if key in ("columns", "dictionaries", "tools")}
            sidecar = {"job": {**sidecar["job"], **changes}, **kept_keys}
        name = f"{out_split}{ending}"
        before = there.get(name, {})
        held = {*labels.columns, *(before["columns"] if before.get("job") == sidecar["job"] else ())}
        kept = [column for column in sidecar["columns"] if column in held]
        write_record(out_dir / name, part_of_sidecar(sidecar, kept))


def _records_to_carry(labels: JoinedLabels, label_dir: Path, split: str) -> dict[str, dict[str, Any]]:
    """Sidecars by the ending of their name; made from the header of packed labels that have none."""
    sidecars = {
        column: (path.name.removeprefix(split), sidecar)
        for path, sidecar in read_sidecars(label_dir, split)
        for column in sidecar["columns"]
    }
    carried: dict[str, dict[str, Any]] = {}
    for part in labels.parts:
        header = part.settings if isinstance(part, PackedLabels) and "manifest_sha256" in part.settings else None
        for column in part.columns:
            ending, sidecar = sidecars.get(column, ("", {}))
            if header and sidecar.get("job") != header:
                ending, sidecar = f".{family_name(part.columns)}.json", {"job": header, "columns": list(part.columns)}
            if sidecar:
                carried[ending] = sidecar
    return carried


def common_job(labels: JoinedLabels, label_dir: Path, split: str) -> dict[str, Any]:
    """The record of the job that made all columns, for the header of a packed file; empty if there is no such job."""
    carried = list(_records_to_carry(labels, label_dir, split).values())
    return carried[0]["job"] if len(carried) == 1 and {*carried[0]["columns"]} >= {*labels.columns} else {}


def part_of_sidecar(sidecar: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """The sidecar of some of its columns."""
    books = zip(sidecar["columns"], sidecar.get("codebooks", []), strict=False)
    statistics = {"codebooks": [book for column, book in books if column in columns]} if "codebooks" in sidecar else {}
    return {**sidecar, "columns": list(columns), **statistics}
