"""Sidecars stay correct when labels are converted, sharded and replaced."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numbered_corpus import CODES, COLUMNS, write_corpus

from mert_fairseq.labels import LabelError, PackedWriter, write_dictionary
from mert_fairseq.labels.convert import convert_labels
from mert_fairseq.labels.provenance import recorded_provenance, remove_from_sidecars
from mert_fairseq.manifest import Manifest
from mert_fairseq.sharding import make_shards

LENGTHS = [48_000, 48_320, 48_640]


def job_of(folder: Path, teacher: str = "a", split: str = "train") -> dict[str, Any]:
    manifest = Manifest.read(folder / f"{split}.tsv")
    return {
        "teacher": "k-means", "sha256": teacher * 64, "sample_rate": 24_000, "label_rate_hz": 75,
        "codebook_sizes": [CODES] * 3, "tracks": len(manifest), "manifest_sha256": manifest.tracks_sha256,
    }  # fmt: skip


def record(folder: Path, teacher: str = "a", columns: tuple[str, ...] = COLUMNS, split: str = "train") -> bytes:
    books = [{"codes": CODES, "used": place} for place in range(len(columns))]
    sidecar = {"job": job_of(folder, teacher, split), "columns": columns, "dictionaries": True, "codebooks": books}
    path = folder / f"{split}.rvq.json"
    path.write_text(json.dumps(sidecar, indent=2, sort_keys=True) + "\n")
    return path.read_bytes()


def packed_job(folder: Path, prefix: str) -> dict[str, Any]:
    return json.loads((folder / f"{prefix}.codes.json").read_text())["settings"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "data", LENGTHS)


@pytest.mark.parametrize("form", ["packed", "padded"])
def test_converting_labels_to_another_folder_copies_their_sidecar(folder: Path, tmp_path: Path, form: str) -> None:
    before = record(folder)
    convert_labels(folder, "train", COLUMNS, form, tmp_path / "out")
    assert (tmp_path / "out/train.rvq.json").read_bytes() == before
    if form == "packed":
        assert packed_job(tmp_path / "out", "train.rvq") == job_of(folder)


def test_columns_converted_one_by_one_share_their_sidecar(folder: Path, tmp_path: Path) -> None:
    record(folder)
    for column in ("rvq_2", "rvq_0"):
        convert_labels(folder, "train", [column], "packed", tmp_path)
    sidecar = json.loads((tmp_path / "train.rvq.json").read_text())
    assert sidecar["columns"] == ["rvq_0", "rvq_2"]
    assert [book["used"] for book in sidecar["codebooks"]] == [0, 2]


def test_a_record_found_only_in_a_packed_header_becomes_a_sidecar(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "data", LENGTHS, packed=True)
    header = folder / "train.rvq.codes.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "settings": job_of(folder)}))
    convert_labels(folder, "train", COLUMNS, "text", tmp_path / "out")
    found = recorded_provenance(tmp_path / "out", "train")
    assert {column: origin.teacher["sha256"][0] for column, origin in found.items()} == dict.fromkeys(COLUMNS, "a")


def test_labels_without_a_record_remove_the_record_of_the_labels_they_replace(folder: Path, tmp_path: Path) -> None:
    out = write_corpus(tmp_path / "out", LENGTHS)
    record(out)
    convert_labels(folder, "train", ["rvq_1"], "padded", out)
    assert recorded_provenance(out, "train").keys() == {"rvq_0", "rvq_2"}
    remove_from_sidecars(out, "train", ["rvq_0", "rvq_2"])
    assert not (out / "train.rvq.json").exists()


def test_labels_of_two_teachers_in_one_packed_file_keep_two_sidecars(folder: Path, tmp_path: Path) -> None:
    write_corpus(folder, LENGTHS, columns=["km"])
    record(folder)
    other = {"job": job_of(folder, "b"), "columns": ["km"]}
    (folder / "train.km.json").write_text(json.dumps(other))
    convert_labels(folder, "train", [*COLUMNS, "km"], "packed", tmp_path)
    assert packed_job(tmp_path, "train.rvq+km") == {}
    found = recorded_provenance(tmp_path, "train")
    assert {column: origin.teacher["sha256"][0] for column, origin in found.items()} == {
        **dict.fromkeys(COLUMNS, "a"),
        "km": "b",
    }


@pytest.mark.parametrize("packed", [False, True])
def test_shards_are_recorded_with_their_own_manifests(tmp_path: Path, packed: bool) -> None:
    folder = write_corpus(tmp_path, LENGTHS, packed=packed)
    record(folder)
    make_shards(folder, "train", 2, COLUMNS, folder)
    for shard in ("train_0_2", "train_1_2"):
        found = recorded_provenance(folder, shard)
        assert found.keys() == {*COLUMNS}
        assert found["rvq_0"].manifest_sha256 == Manifest.read(folder / f"{shard}.tsv").tracks_sha256
        assert found["rvq_0"].teacher["sha256"] == "a" * 64
        if packed:
            assert packed_job(folder, f"{shard}.rvq") == job_of(folder, split=shard)


def test_labels_of_an_older_manifest_are_not_sharded(folder: Path) -> None:
    record(folder)
    manifest = Manifest.read(folder / "train.tsv")
    Manifest(manifest.root, list(manifest.paths)[::-1], manifest.samples, 24_000).write(folder / "train.tsv")
    with pytest.raises(LabelError, match=r"train\.rvq\.json: the labels were made from other tracks or lengths"):
        make_shards(folder, "train", 2, COLUMNS, folder)


def test_a_dictionary_that_other_labels_use_is_not_replaced_by_a_copy(folder: Path, tmp_path: Path) -> None:
    out = write_corpus(tmp_path / "out", LENGTHS, "valid")
    write_dictionary(out / "dict.rvq_1.txt", [2] * CODES)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    message = r"dict\.rvq_1\.txt: is also the dictionary of .*valid\.rvq_1, and differs from .*Write to another folder"
    with pytest.raises(LabelError, match=message):
        convert_labels(folder, "train", COLUMNS, "packed", out)
    with pytest.raises(LabelError, match=message):
        make_shards(folder, "train", 2, COLUMNS, out)
    assert {path: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    record(folder)
    record(out, split="valid")  # of the same teacher: may be replaced
    convert_labels(folder, "train", COLUMNS, "packed", out)


def test_a_packed_file_uses_the_dictionaries_of_its_columns(folder: Path, tmp_path: Path) -> None:
    with PackedWriter(tmp_path / "valid.other", ["rvq_1"]) as packed:
        packed.append(np.zeros((5, 1), int))
    write_dictionary(tmp_path / "dict.rvq_1.txt", [2] * CODES)
    with pytest.raises(LabelError, match=r"is also the dictionary of .*valid\.other\.codes\.json,"):
        convert_labels(folder, "train", COLUMNS, "text", tmp_path)


def test_splits_with_a_common_prefix_have_separate_records(folder: Path) -> None:
    record(folder)
    (folder / "train.live.rvq.json").write_text(json.dumps({"job": job_of(folder, "b"), "columns": COLUMNS}))
    assert recorded_provenance(folder, "train")["rvq_0"].teacher["sha256"] == "a" * 64
    assert recorded_provenance(folder, "train.live")["rvq_0"].teacher["sha256"] == "b" * 64


def test_the_digest_is_of_the_lines_as_they_are_written(folder: Path) -> None:
    lines = (folder / "train.tsv").read_bytes().split(b"\n", 1)[1]
    assert Manifest.read(folder / "train.tsv").tracks_sha256 == hashlib.sha256(lines).hexdigest()
    assert Manifest(Path("/elsewhere"), [], np.zeros(0), 24_000).tracks_sha256 == hashlib.sha256(b"").hexdigest()
