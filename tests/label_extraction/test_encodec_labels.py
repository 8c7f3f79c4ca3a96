"""EnCodec's labels from the command to training's check, with random weights."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from label_corpus import label_files, write_audio

from mert_fairseq.label_extraction import LabelJob, Part, TeacherSource, run_part
from mert_fairseq.label_extraction.run_parts import track_groups
from mert_fairseq.labels import open_labels
from mert_fairseq.preprocessing.checks.cli import main as check_data
from mert_fairseq.teachers.encodec import load_encodec

LENGTHS = {"train": [24_000, 12_345, 24_000, 321], "valid": [4000]}
COLUMNS = [f"encodec_{q}" for q in range(8)]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, run_command: Callable[..., int], weights: Path) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    for split, lengths in LENGTHS.items():
        write_audio(folder, lengths, split, 24_000)
    assert run_command("extract_rvq_labels", "apply", folder, *teacher_words(weights), "--workers", 1) == 0
    return folder


def teacher_words(weights: Path) -> list[object]:
    return ["--teacher", "encodec", "--weights", weights]


def test_labels_are_those_of_the_package_one_track_at_a_time(labelled: Path, weights: Path) -> None:
    model = load_encodec(weights)[0].eval()
    model.set_target_bandwidth(6.0)
    for split, lengths in LENGTHS.items():
        labels = open_labels(labelled, split, COLUMNS)
        for track, samples in enumerate(lengths):
            wave = soundfile.read(labelled / "audio" / f"{split}{track:03d}.wav", dtype="float32")[0]
            with torch.inference_mode():
                expected = model.encode(torch.from_numpy(wave)[None, None])[0][0][0].T.numpy()
            assert len(expected) == -(-samples // 320)
            np.testing.assert_array_equal(labels.codes(track), expected)


def test_the_sidecar_names_weights_versions_and_code_usage(labelled: Path, weights: Path) -> None:
    sidecar = json.loads((labelled / "train.encodec.json").read_text())
    assert sidecar["job"]["teacher"] == "encodec"
    assert sidecar["job"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert sidecar["job"]["about"] == {"model": "encodec_24khz", "kbits": 6.0, "batch": 1}
    assert sidecar["tools"]["encodec"]
    assert (sidecar["job"]["tracks"], sidecar["frames"]) == (4, 75 + 39 + 75 + 2)
    codes = open_labels(labelled, "train", COLUMNS)
    used = [len(np.unique(np.concatenate([codes.codes(t)[:, q] for t in range(4)]))) for q in range(8)]
    assert [book["used"] for book in sidecar["codebooks"]] == used
    assert all(1 < book["perplexity"] <= book["used"] for book in sidecar["codebooks"])


def test_the_data_check_accepts_the_labels(labelled: Path) -> None:
    assert check_data([str(labelled), "--decode", "all", "--workers", "1"]) == 0


def test_parts_encoded_in_batches_are_merged_into_the_same_codes(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], weights: Path
) -> None:
    words = [labelled, *teacher_words(weights), "--batch", 2, "--label-dir", tmp_path, "--splits", "train"]
    for part in ("1/2", "0/2"):
        assert run_command("extract_rvq_labels", "apply", *words, "--shard", part, "--workers", 1) == 0
    assert run_command("extract_rvq_labels", "merge", *words) == 0
    for name, content in label_files(tmp_path).items():
        if name != "train.encodec.json":  # which records the batch size
            assert content == (labelled / name).read_bytes()


def test_wrong_weights_are_a_clear_error(
    labelled: Path, tmp_path: Path, run_command: Callable[..., int], weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["apply", labelled, *teacher_words(weights), "--label-dir", tmp_path]
    assert run_command("extract_rvq_labels", *words, "--sha256", "00ff") == 1
    assert "expected it to begin with 00ff. The file is damaged or another one" in capsys.readouterr().err
    assert run_command("extract_rvq_labels", *words[:-4], "--weights", tmp_path, "--label-dir", tmp_path) == 1
    assert "no such EnCodec weights. Give the file, or the folder" in capsys.readouterr().err


def test_groups_do_not_depend_on_finished_tracks(labelled: Path, tmp_path: Path, weights: Path) -> None:
    source = TeacherSource("encodec", str(weights), batch=3)
    job = LabelJob(labelled / "train.tsv", tmp_path, "encodec", source)
    groups = [[task.track for task in group] for group in track_groups(job, Part(0, 1))]
    assert groups == [[0, 2, 1], [3]]
    good = (labelled / "audio/train002.wav").read_bytes()
    (labelled / "audio/train002.wav").write_bytes(good[:1000])
    try:
        assert len(run_part(job).rejects) == 1  # its neighbours keep their codes
    finally:
        (labelled / "audio/train002.wav").write_bytes(good)
    assert run_part(job).labelled == 1
