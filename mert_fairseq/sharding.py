"""Split a manifest and its labels into shards, so that training holds only one shard at a time (task.sharding_data)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mert_fairseq.labels import PackedLabels, PackedWriter, TextWriter, open_labels
from mert_fairseq.labels.convert import check_dictionaries, check_equal_lengths, copy_dictionaries
from mert_fairseq.labels.packed_index import family_name, replacing_packed
from mert_fairseq.labels.provenance import common_job, copy_sidecars, provenance
from mert_fairseq.labels.reader import JoinedLabels, LabelError
from mert_fairseq.manifest import Manifest


def shard_name(split: str, shard: int, shards: int) -> str:
    return f"{split}_{shard}_{shards}"


def assign_tracks(tracks: int, shards: int, seed: int) -> list[np.ndarray]:
    """The tracks of each shard, at random, so that an album is spread; each shard keeps the manifest's order."""
    order = np.random.default_rng(seed).permutation(tracks)
    return [np.sort(order[shard::shards]) for shard in range(shards)]


def make_shards(
    data_dir: str | Path,
    split: str,
    shards: int,
    columns: Sequence[str],
    out_dir: str | Path,
    label_dir: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[Iterator[int], int, str], Iterator[int]] = lambda tracks, total, name: tracks,
) -> list[int]:
    """Write ``{split}_{i}_{n}.tsv``, their sidecars, and their labels: packed if the split's labels are, else text.

    Args:
        data_dir: folder of ``{split}.tsv``.
        split: such as ``train``.
        shards: n.
        columns: label names; if empty, only manifests are written.
        out_dir: created if needed.
        label_dir: folder of labels; ``data_dir`` if None.
        seed: of the random assignment of tracks to shards.
        progress: wraps the iterator of a shard's tracks, whose number and shard name it gets, for a progress bar.

    Returns:
        The number of tracks in each shard.

    Raises:
        ValueError: if there are fewer tracks than shards, the labels belong to another manifest, or labels of a track
            differ in length.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    path = Path(data_dir) / f"{split}.tsv"
    manifest = Manifest.read(path)
    if not 1 <= shards <= len(manifest):
        raise ValueError(
            f"{path}: found {len(manifest)} tracks, expected at least one for each of {shards} shards. Ask for fewer "
            f"shards."
        )
    label_dir = Path(label_dir or data_dir)
    labels = _labels_of(path, manifest, label_dir, columns) if columns else None
    assigned = assign_tracks(len(manifest), shards, seed)
    for shard, tracks in enumerate(assigned):
        name = shard_name(split, shard, shards)
        settings = {**manifest.settings, "shard": shard, "shards": shards, "shard_seed": seed}
        paths = [manifest.paths[track] for track in tracks.tolist()]
        shard_manifest = Manifest(
            manifest.root.absolute(), paths, manifest.samples[tracks], manifest.sample_rate, settings
        )
        if labels is not None:
            record = {"tracks": len(shard_manifest), "manifest_sha256": shard_manifest.tracks_sha256}
            check_dictionaries(labels, label_dir, split, out_dir, name)
            job = common_job(labels, label_dir, split)
            job = {**job, **record} if job else {}
            _write_labels(labels, job, out_dir, name, progress(iter(tracks.tolist()), len(tracks), name))
            copy_sidecars(labels, label_dir, split, out_dir, name, record)
        shard_manifest.write(out_dir / f"{name}.tsv")
    if columns:
        copy_dictionaries(label_dir, out_dir, columns)
    return [len(tracks) for tracks in assigned]


def _labels_of(path: Path, manifest: Manifest, label_dir: Path, columns: Sequence[str]) -> JoinedLabels:
    """Open the labels of a manifest; raise unless they were made from it and have equal lengths."""
    labels = open_labels(label_dir, path.stem, columns)
    if len(labels) != len(manifest):
        raise LabelError(
            f"{labels.source}: found labels of {len(labels)} tracks, expected {len(manifest)}, one for each in {path}. "
            f"Make the labels again from this manifest."
        )
    for part in labels.parts:
        for known in provenance(part, label_dir, path.stem).values():
            if fault := known.manifest_fault(path, manifest.tracks_sha256):
                raise fault.error()
    check_equal_lengths(labels)
    return labels


def _write_labels(labels: JoinedLabels, job: dict[str, Any], out_dir: Path, name: str, tracks: Iterator[int]) -> None:
    packed = labels.parts[0] if isinstance(labels.parts[0], PackedLabels) else None
    prefix = out_dir / f"{name}.{family_name(labels.columns)}"
    writer = (
        PackedWriter(prefix, labels.columns, packed.label_rate_hz, job)
        if packed
        else TextWriter(out_dir, name, labels.columns)
    )
    with replacing_packed(out_dir, name, labels.columns, prefix if packed else None), writer:
        for track in tracks:
            writer.append(labels.codes(track))
