"""Label jobs from end to end: files, parts, rejects and errors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from label_corpus import LABEL_RATE_HZ, SAMPLE_RATE, label_files, make_job, write_audio, write_teacher

from mert_fairseq import frames
from mert_fairseq.frames import num_label_frames
from mert_fairseq.label_extraction import LabelJob, LabelJobError, Part, TeacherSource, merge_parts, run_part
from mert_fairseq.label_extraction.part_store import PartStore
from mert_fairseq.labels import LabelDictionary, LabelError, PackedWriter, open_labels
from mert_fairseq.labels.convert import convert_labels
from mert_fairseq.labels.label_folder import label_names
from mert_fairseq.manifest import Manifest
from mert_fairseq.teachers.code_teachers import KMeansTeacher

LENGTHS = [8000, 12_345, 160, 1, 20_000, 9001]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> LabelJob:
    job = make_job(tmp_path_factory.mktemp("finished"), LENGTHS, file_format="both")
    run_part(job)
    merge_parts(job)
    return job


def teachers_codes(job: LabelJob, track: int) -> np.ndarray:
    """(frames, Q), by the teacher itself."""
    wave = soundfile.read(job.manifest.audio_path(track), dtype="float32")[0]
    return np.concatenate(list(KMeansTeacher.load(job.source.path).codes([wave])))


def test_labels_are_the_teachers_codes_of_each_track_in_order(finished: LabelJob) -> None:
    labels = open_labels(finished.label_dir, "train", ["rvq_0", "rvq_1"])
    assert len(labels) == len(LENGTHS)
    for track, samples in enumerate(LENGTHS):
        expected = teachers_codes(finished, track)
        np.testing.assert_array_equal(labels.codes(track), expected)
        assert len(expected) == num_label_frames(samples, SAMPLE_RATE, LABEL_RATE_HZ)


def test_the_codes_of_these_tests_vary(finished: LabelJob) -> None:
    codes = open_labels(finished.label_dir, "train", ["rvq_0", "rvq_1"])
    assert (
        min(len(np.unique(codes.codes(0)[:, q])) for q in (0, 1)) >= 4
    )  # otherwise tests could not detect codes in the wrong order


def test_text_and_packed_labels_hold_the_same(finished: LabelJob) -> None:
    lines = (finished.label_dir / "train.rvq_1").read_text().splitlines()
    packed = open_labels(finished.label_dir, "train", ["rvq_1"])
    assert [line.split() for line in lines] == [
        [str(code) for code in packed.codes(track)[:, 0]] for track in range(len(LENGTHS))
    ]


def test_dictionaries_and_the_sidecar_count_the_labels(finished: LabelJob) -> None:
    codes = np.loadtxt(" ".join((finished.label_dir / "train.rvq_0").read_text().split()).split(), dtype=int)
    counts = np.bincount(codes, minlength=8)
    assert LabelDictionary.read(finished.label_dir / "dict.rvq_0.txt").counts == tuple(counts)
    sidecar = json.loads(finished.sidecar_path.read_text())
    shares = counts[counts > 0] / counts.sum()
    book = sidecar["codebooks"][0]
    assert book["used"] == len(shares)
    assert book["perplexity"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), abs=0.01)
    assert sidecar["frames"] == len(codes)
    assert sidecar["job"]["label_rate_hz"] == LABEL_RATE_HZ
    assert len(sidecar["job"]["sha256"]) == 64


def test_only_label_files_remain(finished: LabelJob) -> None:
    assert set(label_files(finished.label_dir)) == {
        *("train.rvq_0", "train.rvq_1", "dict.rvq_0.txt", "dict.rvq_1.txt", "train.rvq.json"),
        *("train.rvq.codes.npy", "train.rvq.codes.json", "train.rvq.offsets.npy"),
    }
    assert not finished.parts_dir.exists()


@pytest.mark.parametrize("count", [2, 5])
def test_parts_and_workers_do_not_change_a_byte(finished: LabelJob, tmp_path: Path, count: int) -> None:
    job = replace(finished, label_dir=tmp_path)
    for index in reversed(range(count)):
        run_part(job, Part(index, count), workers=2)
    merge_parts(job)
    assert label_files(tmp_path) == label_files(finished.label_dir)


def test_merging_again_does_nothing(finished: LabelJob) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.label_dir.iterdir()}
    assert merge_parts(finished)["frames"] > 0
    assert {path: path.stat().st_mtime_ns for path in finished.label_dir.iterdir()} == before


@pytest.mark.parametrize("file_format", ["text", "packed", "both"])
def test_a_finished_job_is_not_labelled_again(tmp_path: Path, file_format: str) -> None:
    job = make_job(tmp_path, [4000], file_format=file_format)
    relabel(job)
    before = label_files(tmp_path)
    assert run_part(job) == (1, 0, {})
    assert not job.parts_dir.exists()
    assert label_files(tmp_path) == before


def test_a_missing_part_is_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    run_part(job, Part(1, 3))
    with pytest.raises(LabelJobError, match="missing 0/3, 2/3 of 3 parts"):
        merge_parts(job)
    assert not (tmp_path / "train.rvq_0").exists()


def test_an_unfinished_part_is_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    with PartStore(job.parts_dir, Part(0, 1), job.teacher_identity, 2) as store:
        store.add(job.track_line(2), np.zeros((1, 2), np.uint16))
    with pytest.raises(LabelJobError, match=r"lacks 5 of 6 tracks: the job was stopped.* Run apply --shard 0/1 again"):
        merge_parts(job)


def test_parts_of_two_divisions_are_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    for part in (Part(0, 2), Part(1, 2)):
        run_part(job, part)
    (job.parts_dir / "shard-0-of-1.journal").touch()
    with pytest.raises(LabelJobError, match="expected parts of one division: tracks would be there twice"):
        merge_parts(job)


def test_another_number_of_parts_is_an_error_before_any_work(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    run_part(job)
    with pytest.raises(LabelJobError, match=r"train.rvq.parts: was started in 1 parts, expected 2. Continue in 1"):
        run_part(job, Part(0, 2))
    assert [path.name for path in job.parts_dir.glob("*.journal")] == ["shard-0-of-1.journal"]


def test_a_part_copied_under_another_name_is_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    run_part(job, Part(0, 2))
    for path in list(job.parts_dir.iterdir()):
        path.with_name(path.name.replace("shard-0", "shard-1")).write_bytes(path.read_bytes())
    with pytest.raises(LabelJobError, match="started with other settings: part 0/2 instead of 1/2"):
        merge_parts(job)


def test_a_file_that_belongs_to_no_part_is_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    run_part(job)
    (job.parts_dir / "shard-0-of-1 (copy).codes").touch()
    with pytest.raises(
        LabelJobError, match=r"\(copy\).codes: found a file that belongs to no part of the job. Remove it"
    ):
        merge_parts(job)


def test_parts_of_another_teacher_are_an_error(finished: LabelJob, tmp_path: Path) -> None:
    job = replace(finished, label_dir=tmp_path)
    run_part(job)
    other = replace(job, source=TeacherSource(str(write_teacher(tmp_path, seed=9))))
    with pytest.raises(LabelJobError, match=r"started with other settings: sha256 \w+ instead of \w+"):
        run_part(other)
    with pytest.raises(LabelJobError, match="started with other settings"):
        merge_parts(other)


def relabel(job: LabelJob) -> None:
    run_part(job)
    merge_parts(job)


def with_teacher(job: LabelJob, codebooks: int, seed: int) -> LabelJob:
    return replace(job, source=TeacherSource(str(write_teacher(job.label_dir, codebooks, seed=seed))))


def test_a_new_teacher_replaces_finished_labels(tmp_path: Path) -> None:
    old = make_job(tmp_path, [4000])
    relabel(old)
    new = with_teacher(old, 2, 9)
    relabel(new)
    codes = open_labels(tmp_path, "train", ["rvq_0", "rvq_1"]).codes(0)
    np.testing.assert_array_equal(codes, teachers_codes(new, 0))
    assert (codes != teachers_codes(old, 0)).any()


@pytest.mark.parametrize(("before", "after"), [("packed", "text"), ("text", "packed")])
def test_labels_of_the_earlier_teacher_are_removed_in_the_other_form_too(
    tmp_path: Path, before: str, after: str
) -> None:
    old = make_job(tmp_path, [4000], file_format=before)
    relabel(old)
    new = replace(with_teacher(old, 2, 9), file_format=after)
    relabel(new)
    labels = open_labels(tmp_path, "train", ["rvq_0", "rvq_1"])
    assert ("codes.npy" in labels.source) == (after == "packed")
    assert (tmp_path / "train.rvq_0").exists() == (after == "text")


@pytest.mark.parametrize(("before", "after"), [("packed", "text"), ("text", "packed"), ("packed", "both")])
def test_labels_that_exist_in_another_form_are_converted_instead_of_made_again(
    tmp_path: Path, before: str, after: str
) -> None:
    job = make_job(tmp_path, [4000], file_format=before)
    relabel(job)
    wanted = replace(job, file_format=after)
    form = "text" if before == "packed" else "packed"
    command = rf"convert_labels.py {tmp_path} --to {form} --splits train --labels rvq_0 rvq_1 --label-rate 50"
    for step in (run_part, merge_parts):
        with pytest.raises(LabelJobError, match=rf"found these labels as {before}, expected {after}.*{command}"):
            step(wanted)
    convert_labels(tmp_path, "train", ["rvq_0", "rvq_1"], form, tmp_path, label_rate_hz=50)
    assert merge_parts(wanted)["format"] == before


@pytest.mark.parametrize("file_format", ["text", "packed"])
def test_columns_that_only_the_earlier_teacher_had_are_removed(tmp_path: Path, file_format: str) -> None:
    old = with_teacher(make_job(tmp_path, [4000], file_format=file_format), 4, 8)
    relabel(old)
    relabel(with_teacher(old, 2, 9))
    assert label_names(tmp_path) == ["rvq_0", "rvq_1"]
    assert open_labels(tmp_path, "train", ["rvq_0", "rvq_1"]).frames.tolist() == [25]
    assert not list(tmp_path.glob("train.rvq_[23]"))


@pytest.mark.parametrize(
    ("file_format", "lost"), [("text", "train.rvq_0"), ("packed", "train.rvq.codes.npy"), ("text", "dict.rvq_1.txt")]
)
def test_labels_with_a_missing_file_are_made_again(tmp_path: Path, file_format: str, lost: str) -> None:
    job = make_job(tmp_path, [4000], file_format=file_format)
    relabel(job)
    expected = label_files(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(LabelJobError, match="found no parts to merge. Label the split first"):
        merge_parts(job)
    relabel(job)
    assert label_files(tmp_path) == expected


def test_an_invalid_sidecar_is_written_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000])
    relabel(job)
    expected = label_files(tmp_path)
    job.sidecar_path.write_text("[]")
    relabel(job)
    assert label_files(tmp_path) == expected


def pack(folder: Path, prefix: str, *columns: str) -> None:
    """A track of zeros under each name."""
    with PackedWriter(folder / prefix, columns) as out:
        out.append(np.zeros((25, len(columns)), int))


def test_new_labels_replace_packed_labels_of_any_file_name(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000])
    pack(tmp_path, "train.old", "rvq_0", "rvq_1")
    run_part(job)
    merge_parts(job)
    labels = open_labels(tmp_path, "train", ["rvq_0", "rvq_1"])
    assert labels.source == f"{tmp_path}/train.rvq_0, {tmp_path}/train.rvq_1"


@pytest.mark.parametrize("file_format", ["text", "packed"])
def test_other_labels_in_the_same_packed_file_are_not_lost(tmp_path: Path, file_format: str) -> None:
    job = make_job(tmp_path, [4000], file_format=file_format)
    pack(tmp_path, "train.rvq", "rvq_0", "km", "rvq_1")
    with pytest.raises(LabelError, match=r"train.rvq.codes.npy: also holds km.*would be lost. Keep them as text"):
        run_part(job)
    assert not job.parts_dir.exists()
    assert open_labels(tmp_path, "train", ["km"]).codes(0).shape == (25, 1)


def test_dictionaries_keep_the_counts_of_the_first_split(tmp_path: Path) -> None:
    job = make_job(tmp_path, [8000])
    relabel(job)
    before = (tmp_path / "dict.rvq_0.txt").read_bytes()
    valid = replace(job, manifest_path=write_audio(tmp_path, [3000], "valid"))
    relabel(valid)
    assert (tmp_path / "valid.rvq_0").exists()
    assert (tmp_path / "dict.rvq_0.txt").read_bytes() == before


def test_a_dictionary_of_another_teachers_labels_is_not_replaced(tmp_path: Path) -> None:
    train = make_job(tmp_path, [8000])
    relabel(train)
    other = with_teacher(replace(train, manifest_path=write_audio(tmp_path, [3000], "valid")), 2, 9)
    before = label_files(tmp_path)
    message = (
        r"dict\.rvq_0\.txt: is also the dictionary of .*train\.rvq_0, and nothing shows that .*teacher9\.npz made "
        r"these labels\..* \(--name\) or folder \(--label-dir\); or, to replace the labels of train as well, delete "
        r"dict\.rvq_0\.txt dict\.rvq_1\.txt first\."
    )
    with pytest.raises(LabelJobError, match=message):
        run_part(other)
    assert label_files(tmp_path) == before
    relabel(replace(other, name="km"))  # the first two remedies
    elsewhere = replace(other, label_dir=tmp_path / "elsewhere")
    elsewhere.label_dir.mkdir()
    relabel(elsewhere)
    for column in ("rvq_0", "rvq_1"):  # the third
        (tmp_path / f"dict.{column}.txt").unlink()
    relabel(other)
    assert sum(LabelDictionary.read(tmp_path / "dict.rvq_0.txt").counts) == 3000 // 160 + 1
    relabel(replace(train, source=other.source))


def test_a_dictionary_of_labels_made_elsewhere_is_not_replaced(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000])
    (tmp_path / "valid.rvq_1").write_text("0 1\n")
    (tmp_path / "dict.rvq_1.txt").write_text("1 1\n0 1\n")
    with pytest.raises(LabelJobError, match=r"dict\.rvq_1\.txt: is also the dictionary of .*valid\.rvq_1,"):
        run_part(job)


def test_the_merge_detects_labels_that_another_teacher_finished_meanwhile(tmp_path: Path) -> None:
    train = make_job(tmp_path, [8000])
    other = with_teacher(replace(train, manifest_path=write_audio(tmp_path, [3000], "valid")), 2, 9)
    run_part(other)
    relabel(train)
    with pytest.raises(LabelJobError, match=r"dict\.rvq_0\.txt: is also the dictionary of .*train\.rvq_0,"):
        merge_parts(other)


@pytest.mark.parametrize(("missing", "fits"), [(800, True), (801, False)])
def test_a_lossy_file_may_lack_a_tenth_of_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int, fits: bool
) -> None:
    job = make_job(tmp_path, [8000])
    whole = soundfile.read(job.manifest.audio_path(0), dtype="float32")[0]
    soundfile.write(job.manifest.audio_path(0), whole[:-missing], SAMPLE_RATE, subtype="PCM_16")
    monkeypatch.setattr(frames, "LOSSY_ENCODINGS", ("PCM",))  # a lossy codec that keeps the samples
    summary = run_part(job)
    assert bool(summary.rejects) != fits
    if fits:
        merge_parts(job)
        teacher = KMeansTeacher.load(job.source.path)
        filled = np.concatenate([whole[:-missing], np.zeros(missing, np.float32)])
        np.testing.assert_array_equal(
            open_labels(tmp_path, "train", ["rvq_0", "rvq_1"]).codes(0), np.concatenate(list(teacher.codes([filled])))
        )


def truncate(job: LabelJob, tracks: list[int]) -> bytes:
    """Truncate the files of some tracks; returns the bytes of the first."""
    paths = [job.manifest.audio_path(track) for track in tracks]
    good = paths[0].read_bytes()
    for path in paths:
        path.write_bytes(good[:2000])
    return good


def test_tracks_that_cannot_be_read_are_listed_and_tried_again(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000, 4000, 4000])
    good = truncate(job, [1, 2])
    for part in (Part(0, 2), Part(1, 2)):
        run_part(job, part)
    with pytest.raises(LabelJobError, match=r"train.rvq.rejects.tsv: 2 tracks have no codes:\n  .*1.wav.*\n  .*2.wav"):
        merge_parts(job)
    header, *rows = [line.split("\t") for line in job.rejects_path.read_text().splitlines()]
    assert header == ["path", "reason"]
    assert [path for path, _ in rows] == ["train001.wav", "train002.wav"]
    assert "found 978 samples, expected the manifest's 4000" in rows[0][1]
    for track in (1, 2):
        job.manifest.audio_path(track).write_bytes(good)
    assert [run_part(job, part).labelled for part in (Part(0, 2), Part(1, 2))] in ([0, 2], [1, 1])
    merge_parts(job)
    assert len((tmp_path / "train.rvq_0").read_text().splitlines()) == 3
    assert not job.rejects_path.exists()


def test_codes_are_kept_when_the_manifest_loses_and_gains_tracks(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000, 4100, 4200, 4300])
    truncate(job, [1])
    run_part(job)
    manifest = job.manifest
    soundfile.write(manifest.root / "new.wav", np.zeros(500), SAMPLE_RATE)
    paths, samples = (["new.wav", *(list(manifest.paths)[t] for t in (3, 0, 2))], [500, 4300, 4000, 4200])
    Manifest(manifest.root, paths, np.array(samples), SAMPLE_RATE).write(job.manifest_path)
    job = replace(job)  # reads the manifest again
    with pytest.raises(LabelJobError, match="lacks 1 of 4 tracks: the job was stopped, or the manifest changed"):
        merge_parts(job)
    assert run_part(job).labelled == 1
    merge_parts(job)
    fresh = replace(job, label_dir=tmp_path / "fresh")
    fresh.label_dir.mkdir()
    run_part(fresh)
    merge_parts(fresh)
    assert label_files(tmp_path) == label_files(fresh.label_dir)


def test_a_journal_of_an_older_version_is_an_error(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000])
    job.parts_dir.mkdir()
    (job.parts_dir / "shard-0-of-1.journal").write_text(json.dumps({"shard": "0/1", "job": job.identity}) + "\n")
    with pytest.raises(
        LabelJobError, match=r"a journal of another version of mert_fairseq.*or delete .*train.rvq.parts"
    ):
        run_part(job)


def test_a_file_that_changed_since_the_manifest_is_rejected(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000])
    soundfile.write(job.manifest.audio_path(0), np.zeros(4001), SAMPLE_RATE)
    reason = next(iter(run_part(job).rejects.values()))
    assert "found 4001 samples, expected the manifest's 4000" in reason


def test_a_track_without_samples_is_rejected_and_the_others_are_labelled(tmp_path: Path) -> None:
    job = make_job(tmp_path, [4000, 0])
    labelled, rejects = run_part(job)[1:]
    assert labelled == 1
    assert "train001.wav: found no samples, expected at least one. Remove the file." in next(iter(rejects.values()))


def test_another_sample_rate_is_an_error(tmp_path: Path) -> None:
    manifest = write_audio(tmp_path, [4000], sample_rate=16_000)
    job = LabelJob(manifest, tmp_path, "rvq", TeacherSource(str(write_teacher(tmp_path))))
    with pytest.raises(LabelJobError, match="found 16000 Hz, expected the teacher's 8000 Hz"):
        run_part(job)
    (tmp_path / "train.json").unlink()  # now only the files tell the rate
    job = replace(job)
    assert "found 16000 Hz, expected the teacher's 8000 Hz" in next(iter(run_part(job).rejects.values()))


def test_an_empty_manifest_is_an_error(tmp_path: Path) -> None:
    job = make_job(tmp_path, [])
    with pytest.raises(LabelJobError, match="lists no track"):
        run_part(job)
