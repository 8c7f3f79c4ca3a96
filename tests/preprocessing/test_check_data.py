"""The data check: a healthy folder passes, and each fault that is put into it is found, by its own word."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from music_files import make_music, tone
from piped_flac import without_length

from mert_fairseq import audio
from mert_fairseq.labels import PackedWriter, TextWriter, write_dictionary, write_padded
from mert_fairseq.manifest import Manifest
from mert_fairseq.preprocessing.checks import Level, Options, Report, check_data
from mert_fairseq.preprocessing.checks.cli import main
from mert_fairseq.sharding import make_shards

RATE = 24_000
CODES = 16
TRACKS = {"train": 6, "valid": 2}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 tracks of 2 to 2.7 s; labels as text (rvq_0, rvq_1), padded (kmeans) and packed (encodec_0, encodec_1)."""
    folder = tmp_path_factory.mktemp("healthy")
    rng = np.random.default_rng(0)
    (folder / "audio").mkdir()
    number = 0
    for split, count in TRACKS.items():
        names, samples, codes = [], [], []
        for _ in range(count):
            wave = tone(2 + number / 10, RATE, number)
            soundfile.write(folder / "audio" / f"{number}.flac", wave, RATE)
            names.append(f"{number}.flac")
            samples.append(len(wave))
            codes.append(rng.integers(CODES, size=(-(-len(wave) // 320), 5)))
            number += 1
        manifest = Manifest(folder / "audio", names, np.array(samples), RATE, {})
        manifest.write(folder / f"{split}.tsv")
        with TextWriter(folder, split, ["rvq_0", "rvq_1"]) as text:
            for track in codes:
                text.append(track[:, :2])
        write_padded(folder / f"{split}.kmeans.npy", [track[:, 2] for track in codes])
        with PackedWriter(folder / f"{split}.encodec", ["encodec_0", "encodec_1"], 75.0) as packed:
            for track in codes:
                packed.append(track[:, 3:])
    for label in ("rvq_0", "rvq_1", "kmeans", "encodec_0", "encodec_1"):
        write_dictionary(folder / f"dict.{label}.txt", [100] * CODES)
    return folder


@pytest.fixture
def data(healthy: Path, tmp_path: Path) -> Path:
    """A copy to put a fault into."""
    folder = tmp_path / "data"
    shutil.copytree(healthy, folder)
    for split in TRACKS:
        replace_line(folder / f"{split}.tsv", 1, str(folder / "audio"))
    return folder


def replace_line(path: Path, number: int, *lines: str) -> None:
    """Put other lines in the place of line ``number``, from 1."""
    old = path.read_text().splitlines()
    path.write_text("\n".join([*old[: number - 1], *lines, *old[number:]]) + "\n")


def edit_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def found(report: Report) -> dict[str, str]:
    return {finding.check: finding.where for finding in report.findings}


def only(report: Report, check: str) -> str:
    """What the only finding says, after seeing that it is of this kind."""
    assert [finding.check for finding in report.findings] == [check]
    (finding,) = report.findings
    assert finding.remedy
    return f"{finding.where} | {finding.found} | {finding.remedy}"


def test_a_healthy_folder_passes_and_says_what_was_looked_at(data: Path) -> None:
    report = check_data(data)
    assert report.findings == []
    looked_at = dict(report.looked_at)
    assert looked_at["train: manifest"] == "6 tracks, 0.00 h"
    assert looked_at["train: audio decoded"] == "6 of 6"
    assert looked_at["train: text labels rvq_0"] == "6 tracks, codes of 6 read"
    assert looked_at["valid: padded labels kmeans"] == "2 tracks, codes of 2 read"
    assert looked_at["train: packed labels encodec_0, encodec_1"] == "6 tracks, codes of 6 read"
    assert looked_at["dictionary dict.rvq_1.txt"] == "16 codes"


def test_workers_change_nothing(data: Path) -> None:
    (data / "audio" / "3.flac").unlink()
    assert check_data(data, Options(workers=2)) == check_data(data, Options(workers=1))


# Manifests and sidecars


def test_no_manifest(tmp_path: Path) -> None:
    assert "no {split}.tsv is here" in only(check_data(tmp_path), "no_manifest")
    assert "no such folder" in only(check_data(tmp_path / "nowhere"), "no_manifest")


def test_tables_with_a_header_are_no_manifests(data: Path) -> None:
    (data / "rejects.tsv").write_text("path\treason\tdetail\n")
    assert check_data(data).findings == []


def test_a_folder_named_like_a_manifest_is_ignored(data: Path) -> None:
    (data / "old.tsv").mkdir()
    assert check_data(data).findings == []


def test_a_line_that_is_no_track(data: Path) -> None:
    replace_line(data / "train.tsv", 3, "1.flac 48000")
    assert "train.tsv:3: found '1.flac 48000'" in only(check_data(data), "manifest_unreadable")


def test_a_sidecar_of_another_number_of_tracks(data: Path) -> None:
    edit_json(data / "train.json", tracks=5)
    assert "found 5 tracks, but train.tsv lists 6" in only(check_data(data), "manifest_unreadable")


def test_a_sidecar_of_another_length_in_all(data: Path) -> None:
    edit_json(data / "train.json", total_seconds=99.0)
    assert "99.0 s in all, but the lengths in train.tsv add up to 13.5 s" in only(check_data(data), "sidecar_seconds")


def test_a_sidecar_without_a_rate(data: Path) -> None:
    edit_json(data / "train.json", sample_rate=None)
    only(check_data(data), "sidecar_incomplete")


def test_a_sidecar_of_another_rate(data: Path) -> None:
    edit_json(data / "valid.json", sample_rate=16_000, total_seconds=round(2.65 * 2 * 24_000 / 16_000, 3))
    assert "16000 Hz, expected 24000 Hz" in only(check_data(data), "sidecar_sample_rate")


def test_no_sidecar_is_a_warning(data: Path) -> None:
    (data / "train.json").unlink()
    report = check_data(data)
    only(report, "sidecar_missing")
    assert report.passed


def test_an_empty_manifest(data: Path) -> None:
    (data / "valid.tsv").write_text(f"{data / 'audio'}\n")
    (data / "valid.json").unlink()
    for path in data.glob("valid.*[!v]"):
        path.unlink()
    assert "manifest_empty" in found(check_data(data))


def test_a_root_that_is_gone(data: Path) -> None:
    for split in TRACKS:
        replace_line(data / f"{split}.tsv", 1, "/nowhere/audio")
    report = check_data(data)
    assert {finding.check for finding in report.findings} == {"root_missing"}
    assert found(report)["root_missing"].endswith("valid.tsv:1")


def test_a_track_listed_twice(data: Path) -> None:
    replace_line(data / "train.tsv", 3, (data / "train.tsv").read_text().splitlines()[1])
    assert found(check_data(data)).keys() >= {"repeated_path"}


def test_a_track_in_both_splits(data: Path) -> None:
    replace_line(data / "valid.tsv", 2, (data / "train.tsv").read_text().splitlines()[1])
    report = check_data(data)
    assert "shared_path" in found(report)
    assert "duplicate_across_splits" not in found(report)


def test_a_name_that_is_not_utf8(data: Path) -> None:
    (data / "train.tsv").write_bytes((data / "train.tsv").read_bytes().replace(b"1.flac", b"caf\xe9.flac"))
    assert found(check_data(data)).keys() == {"unsafe_name", "audio_missing"}


def test_a_track_too_short_for_a_frame(data: Path) -> None:
    soundfile.write(data / "audio" / "0.flac", tone(399 / RATE, RATE), RATE)
    replace_line(data / "train.tsv", 2, "0.flac\t399")
    report = check_data(data, Options(labels=()))
    assert "399 samples give no encoder frame" in next(f.found for f in report.findings if f.check == "short_track")


def test_training_without_validation_is_a_warning(data: Path) -> None:
    for path in data.glob("valid.*"):
        path.unlink()
    only(check_data(data), "no_valid")


# Audio


def test_a_missing_file(data: Path) -> None:
    (data / "audio" / "3.flac").unlink()
    assert "train.tsv:5 | " in only(check_data(data), "audio_missing")


def test_a_file_that_is_no_audio(data: Path) -> None:
    (data / "audio" / "3.flac").write_bytes(b"<html>" * 999)
    assert "3.flac: cannot be decoded" in only(check_data(data), "audio_unreadable")


def test_a_truncated_file_shows_when_it_is_decoded(data: Path) -> None:
    path = data / "audio" / "3.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "decodes up to" in only(check_data(data), "audio_unreadable")
    assert check_data(data, Options(decode=0)).findings == []


def test_another_sample_rate(data: Path) -> None:
    soundfile.write(data / "audio" / "3.flac", tone(2.3, RATE, 3), 44_100)
    assert "44100 Hz, expected 24000 Hz" in only(check_data(data), "audio_sample_rate")


def test_another_length_than_the_manifest_says(data: Path) -> None:
    soundfile.write(data / "audio" / "3.flac", tone(2.29, RATE, 3), RATE)
    assert "54960 samples by its header, the manifest says 55200" in only(check_data(data), "audio_length")


def test_a_lossy_header_may_be_off_by_a_tenth_of_a_second(data: Path) -> None:
    make_music(data / "audio" / "3.ogg", 2.3, RATE, 3)
    (data / "train.json").unlink()
    replace_line(data / "train.tsv", 5, "3.ogg\t53000")
    assert found(check_data(data)).keys() == {"sidecar_missing"}
    replace_line(data / "train.tsv", 5, "3.ogg\t52000")
    assert found(check_data(data)).keys() == {"sidecar_missing", "audio_length", "label_length"}


def test_samples_that_are_no_numbers(data: Path) -> None:
    wave = tone(2.3, RATE, 3)
    wave[100] = np.inf
    soundfile.write(data / "audio" / "3.wav", wave, RATE, "FLOAT")
    replace_line(data / "train.tsv", 5, "3.wav\t55200")
    assert "3.wav: first at 0.004 s" in only(check_data(data), "audio_not_finite")


def test_a_file_without_samples(data: Path) -> None:
    soundfile.write(data / "audio" / "3.wav", np.zeros(0), RATE)
    replace_line(data / "train.tsv", 5, "3.wav\t0")
    assert found(check_data(data)).keys() >= {"audio_empty", "short_track", "sidecar_seconds"}


def test_a_file_that_kills_its_reader_is_found_among_the_others(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = audio.probe

    def deadly(path: Path) -> audio.AudioInfo:
        if path.name == "3.flac":
            os.kill(os.getpid(), signal.SIGKILL)
        return probe(path)

    monkeypatch.setattr(audio, "probe", deadly)  # workers are forked
    assert "train.tsv:5 | " in only(check_data(data), "decoder_died")


def test_silence_is_a_warning(data: Path) -> None:
    soundfile.write(data / "audio" / "3.flac", np.zeros(55_200), RATE)
    report = check_data(data)
    only(report, "audio_silent")
    assert report.passed


def test_clipping_is_a_warning(data: Path) -> None:
    soundfile.write(data / "audio" / "3.flac", np.clip(20 * tone(2.3, RATE, 3), -1, 1), RATE)
    only(check_data(data), "audio_clipped")


def test_files_that_state_no_length_are_held_against_the_length_that_they_have(data: Path, tmp_path: Path) -> None:
    without_length(data / "audio" / "3.flac", tmp_path / "3.flac").replace(data / "audio" / "3.flac")
    # half of the file is a picture; the decoder's guess of the length takes it for sound
    soundfile.write(tmp_path / "a.mp3", tone(5, RATE), RATE, bitrate_mode="CONSTANT", compression_level=0.5)
    content = (tmp_path / "a.mp3").read_bytes()
    sound = content[content.index(content[:2], 4) :]
    (data / "audio" / "4.mp3").write_bytes(b"ID3\x04\0\0" + bytes([0, 2, 0, 0]) + bytes(2 << 14) + sound)
    samples = audio.count_samples(data / "audio" / "4.mp3")
    replace_line(data / "train.tsv", 6, f"4.mp3\t{samples}")
    (data / "train.json").unlink()
    assert found(check_data(data, Options(labels=()))).keys() == {"sidecar_missing", "no_labels"}
    replace_line(data / "train.tsv", 6, f"4.mp3\t{samples - 4000}")
    assert "audio_length" in found(check_data(data, Options(labels=(), decode=0)))


def test_findings_about_names_that_are_not_utf_8_can_be_printed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio_dir = Path(os.fsdecode(os.fsencode(data) + b"/m\xfasica"))
    (data / "audio").rename(audio_dir)
    for split in TRACKS:
        path = data / f"{split}.tsv"
        path.write_bytes(os.fsencode(audio_dir) + path.read_bytes()[len(os.fsencode(data / "audio")) :])
    assert main([str(data), "--workers", "1"]) == 0
    (audio_dir / "3.flac").unlink()
    assert main([str(data), "--workers", "1"]) == 1
    assert r"m\udcfasica/3.flac: no such file" in capsys.readouterr().out


# Shards


@pytest.mark.parametrize("whole_is_there", [True, False])
def test_a_folder_of_shards_is_healthy_beside_the_whole_manifest_and_alone(data: Path, whole_is_there: bool) -> None:
    make_shards(data, "train", 2, ["rvq_0", "rvq_1"], data)
    if not whole_is_there:
        for path in data.glob("train.*"):
            path.unlink()
    report = check_data(data, Options(labels=("rvq_0", "rvq_1")))
    assert report.findings == []
    looked_at = dict(report.looked_at)
    assert looked_at["train_1_2: text labels rvq_1"] == "3 tracks, codes of 3 read"
    assert ("train_1_2: audio decoded" in looked_at) == (not whole_is_there)
    assert looked_at["duplicates"] == "8 tracks compared"


def test_a_track_of_a_shard_that_is_in_valid_too_is_found(data: Path) -> None:
    make_shards(data, "train", 2, [], data)
    (data / "train.tsv").unlink()
    track = (data / "train_0_2.tsv").read_text().splitlines()[1]
    replace_line(data / "valid.tsv", 2, track)
    assert found(check_data(data, Options(labels=())))["shared_path"] == str(data / "valid.tsv")


# Duplicates


def test_the_same_audio_in_both_splits_under_two_names(data: Path) -> None:
    wave, _ = soundfile.read(data / "audio" / "0.flac", dtype="int16")
    soundfile.write(data / "audio" / "6.wav", wave, RATE)
    replace_line(data / "valid.tsv", 2, f"6.wav\t{len(wave)}")
    report = check_data(data, Options(labels=()))
    message = next(f for f in report.findings if f.check == "duplicate_across_splits")
    assert message.level is Level.ERROR
    assert message.where.endswith("valid.tsv:2")
    assert "6.wav is the same audio as 0.flac of train.tsv" in message.found


def test_the_same_audio_twice_in_train_is_a_warning(data: Path) -> None:
    shutil.copy(data / "audio" / "1.flac", data / "audio" / "4.flac")
    replace_line(data / "train.tsv", 6, f"4.flac\t{soundfile.info(data / 'audio' / '1.flac').frames}")
    report = check_data(data, Options(labels=()))
    assert found(report)["duplicate_within_split"].endswith("train.tsv:6")


def test_tracks_that_agree_only_in_length_and_in_their_middle_are_no_duplicates(data: Path) -> None:
    wave, _ = soundfile.read(data / "audio" / "0.flac", dtype="int16")
    wave[0] += 1
    soundfile.write(data / "audio" / "6.flac", wave, RATE)
    replace_line(data / "valid.tsv", 2, f"6.flac\t{len(wave)}")
    assert not {check for check in found(check_data(data)) if check.startswith("duplicate")}


# Labels and dictionaries


def test_no_labels_is_a_warning(data: Path) -> None:
    report = check_data(data, Options(label_dir=data / "audio"))
    only(report, "no_labels")
    assert report.passed


def test_a_label_that_one_split_lacks(data: Path) -> None:
    (data / "valid.rvq_1").unlink()
    assert "valid.rvq_1 | no labels rvq_1" in only(check_data(data), "labels_missing")


def test_a_label_that_was_asked_for_and_is_nowhere(data: Path) -> None:
    report = check_data(data, Options(labels=("rvq_0", "rvq_7")))
    assert [finding.check for finding in report.findings] == ["labels_missing", "labels_missing"]


def test_a_text_label_that_lacks_a_line(data: Path) -> None:
    lines = (data / "train.rvq_0").read_text().splitlines()
    (data / "train.rvq_0").write_text("\n".join(lines[:-1]) + "\n")
    assert "labels of 5 tracks, expected 6" in only(check_data(data), "label_tracks")


def shorten(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    rows = np.load(path)
    np.save(path, change(rows))


def test_padded_labels_that_lack_a_row(data: Path) -> None:
    shorten(data / "train.kmeans.npy", lambda rows: rows[:-1])
    assert "train.kmeans.npy | labels of 5 tracks, expected 6" in only(check_data(data), "label_tracks")


def test_packed_labels_that_lack_a_track(data: Path) -> None:
    shorten(data / "train.encodec.offsets.npy", lambda offsets: offsets[:-1])
    message = only(check_data(data), "labels_unreadable")
    assert "Pack the labels again" in message


def test_packed_labels_without_their_header(data: Path) -> None:
    (data / "train.encodec.codes.json").unlink()
    assert "labels_unreadable" in found(check_data(data))


def test_a_text_label_that_is_too_short_for_its_track(data: Path) -> None:
    codes = (data / "train.rvq_0").read_text().splitlines()[2].split()
    replace_line(data / "train.rvq_0", 3, " ".join(codes[:-8]))
    message = only(check_data(data), "label_length")
    assert "train.rvq_0:3 | 2.flac has 157 codes, but its 52800 samples at 75 labels per second need 165" in message


def test_a_few_frames_more_or_less_are_no_fault(data: Path) -> None:
    codes = (data / "train.rvq_0").read_text().splitlines()[2].split()
    replace_line(data / "train.rvq_0", 3, " ".join(codes[:-7]))
    assert check_data(data).findings == []


def test_labels_at_another_rate_say_which(data: Path) -> None:
    for split in TRACKS:
        lines = (data / f"{split}.rvq_0").read_text().splitlines()
        (data / f"{split}.rvq_0").write_text("".join(" ".join(line.split()[::3]) + "\n" for line in lines))
    report = check_data(data, Options(labels=("rvq_0",)))
    assert {finding.check for finding in report.findings} == {"label_length"}
    assert "these come at 25 per second" in report.findings[0].found
    assert report.findings[0].count == 6
    assert check_data(data, Options(labels=("rvq_0",), label_rate_hz=25)).findings == []


def test_packed_labels_made_at_another_rate(data: Path) -> None:
    report = check_data(data, Options(labels=("encodec_0",), label_rate_hz=50))
    assert {finding.check for finding in report.findings} == {"label_rate", "label_length"}


def test_padded_labels_that_are_too_short(data: Path) -> None:
    shorten(data / "train.kmeans.npy", lambda rows: rows[:, :150])
    assert only(check_data(data), "label_length").startswith(f"{data / 'train.kmeans.npy'}: row 1")


def test_a_text_code_outside_its_dictionary(data: Path) -> None:
    codes = (data / "train.rvq_1").read_text().splitlines()[3].split()
    replace_line(data / "train.rvq_1", 4, " ".join([*codes[:-1], "16"]))
    assert "train.rvq_1:4 | code 16 of rvq_1 is not one of the 16 in dict.rvq_1.txt" in only(
        check_data(data), "code_range"
    )


def test_a_packed_code_outside_its_dictionary(data: Path) -> None:
    write_dictionary(data / "dict.encodec_1.txt", [100] * (CODES - 1))
    report = check_data(data)
    assert {finding.check for finding in report.findings} == {"code_range"}
    assert len(report.findings) == 2  # train and valid


def test_a_packed_code_that_its_header_does_not_own_up_to(data: Path) -> None:
    codes = np.load(data / "train.encodec.codes.npy", mmap_mode="r+")
    codes[200, 0] = 999
    codes.flush()
    assert "code 999 of encodec_0" in only(check_data(data), "code_range")


def test_a_padded_code_outside_its_dictionary(data: Path) -> None:
    shorten(data / "valid.kmeans.npy", lambda rows: np.where(rows == 3, 77, rows))
    assert "code 77 of kmeans" in only(check_data(data), "code_range")


def test_a_code_that_the_dictionary_skips(data: Path) -> None:
    replace_line(data / "dict.rvq_0.txt", 6)
    report = check_data(data, Options(labels=("rvq_0",)))
    assert {finding.check for finding in report.findings} == {"code_range"}
    assert "code 5 of rvq_0 is not one of the 15" in report.findings[0].found


def test_words_among_the_codes(data: Path) -> None:
    replace_line(data / "train.rvq_0", 2, "1 2 x " * 60)
    assert "labels_unreadable" in found(check_data(data))


def test_a_missing_dictionary(data: Path) -> None:
    (data / "dict.rvq_1.txt").unlink()
    assert "dict.rvq_1.txt | no such dictionary" in only(check_data(data), "dictionary_missing")


def test_a_dictionary_with_an_invalid_line(data: Path) -> None:
    replace_line(data / "dict.rvq_1.txt", 3, "two 100")
    assert "dict.rvq_1.txt:3: found 'two 100'" in only(check_data(data), "dictionary_unreadable")


def test_a_collapsed_teacher_is_a_warning(data: Path) -> None:
    for split in TRACKS:
        lines = (data / f"{split}.rvq_0").read_text().splitlines()
        (data / f"{split}.rvq_0").write_text("".join("3 " * len(line.split()) + "\n" for line in lines))
    write_dictionary(data / "dict.rvq_0.txt", [100] * 8)
    report = check_data(data, Options(labels=("rvq_0",)))
    assert "1 of 8 codes of rvq_0 occur in 1014 frames" in only(report, "unused_codes")
    assert report.passed


@pytest.mark.parametrize("line", ["", "3"])
def test_frame_labels_that_lack_their_frames_are_not_taken_for_labels_of_tracks(data: Path, line: str) -> None:
    (data / "train.rvq_0").write_text(f"{line}\n" * TRACKS["train"])
    assert found(check_data(data)).keys() == {"label_length"}
    (data / "dict.rvq_0.txt").unlink()
    named = found(check_data(data, Options(labels=("rvq_0",))))
    assert named.keys() == {"dictionary_missing", "label_length" if line else "labels_missing"}


def test_labels_of_whole_tracks_are_counted_only(data: Path) -> None:
    for split, count in TRACKS.items():
        (data / f"{split}.genre").write_text("".join(f"{track}\n" for track in range(count)))
        (data / f"{split}.credits").write_text("Some Band\n")
    report = check_data(data)
    assert report.findings == []
    assert ("train: track labels genre", "6 tracks, number of lines only") in report.looked_at
    assert ("train: no frame labels", "train.credits") in report.looked_at


# The command


def test_the_command_passes_with_0_and_fails_with_1_and_the_remedy(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(data)]) == 0
    assert capsys.readouterr().out.endswith("OK: 0 errors, 0 warnings\n")
    (data / "audio" / "3.flac").unlink()
    assert main([str(data)]) == 1
    text = capsys.readouterr().out
    assert "ERROR    audio_missing\n" in text
    assert "do     Correct line 1 of the manifest or restore the file" in text
    assert text.endswith("FAILED: 1 errors, 0 warnings\n")


def test_the_command_gives_json_to_machines(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "audio" / "3.flac").unlink()
    assert main([str(data), "--json", "--decode", "all"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is False
    assert [finding["check"] for finding in report["findings"]] == ["audio_missing"]
    assert report["findings"][0].keys() == {"check", "level", "where", "found", "remedy", "count"}


def test_an_invalid_number_of_tracks_to_decode_is_an_error(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(data), "--decode", "some"])
    assert "'some' is neither a number nor 'all'" in capsys.readouterr().err


# Where labels come from


def labelled_by(
    data: Path,
    split: str,
    teacher: str,
    name: str = "rvq",
    columns: tuple[str, ...] = ("rvq_0", "rvq_1"),
    rate_hz: float = 75,
) -> None:
    """Write a sidecar as a label job does."""
    manifest = Manifest.read(data / f"{split}.tsv")
    job = {
        "teacher": "k-means", "sha256": teacher, "sample_rate": RATE, "label_rate_hz": rate_hz,
        "codebook_sizes": [CODES], "tracks": len(manifest), "manifest_sha256": manifest.tracks_sha256,
    }  # fmt: skip
    (data / f"{split}.{name}.json").write_text(json.dumps({"job": job, "columns": columns}))


FORMS = {
    "rvq": ("rvq_0", "rvq_1"),
    "kmeans": ("kmeans",),
    "encodec": ("encodec_0", "encodec_1"),
}  # text, padded, packed


@pytest.mark.parametrize("name", FORMS)
def test_labels_of_one_teacher_and_this_manifest_pass(data: Path, name: str) -> None:
    for split in TRACKS:
        labelled_by(data, split, "a" * 64, name, FORMS[name])
    assert check_data(data).findings == []


def test_the_sidecar_states_the_rate_of_text_labels(data: Path) -> None:
    for split in TRACKS:
        lines = (data / f"{split}.rvq_0").read_text().splitlines()
        (data / f"{split}.rvq_0").write_text("".join(" ".join(line.split()[::3]) + "\n" for line in lines))
        labelled_by(data, split, "a" * 64, columns=("rvq_0",), rate_hz=25)
    assert check_data(data, Options(labels=("rvq_0",))).findings == []
    report = check_data(data, Options(labels=("rvq_0",), label_rate_hz=75))
    assert {finding.check for finding in report.findings} == {"label_rate", "label_length"}
    assert report.findings[0].found == "made at 25 labels per second, expected 75"


@pytest.mark.parametrize("name", FORMS)
def test_two_splits_labelled_by_two_teachers(data: Path, name: str) -> None:
    labelled_by(data, "train", "a" * 64, name, FORMS[name])
    labelled_by(data, "valid", "b" * 64, name, FORMS[name])
    told = only(check_data(data), "label_teacher")
    assert told.startswith(f"{data}/valid.{name}.json | {FORMS[name][0]} of valid was made by k-means {'b' * 12}, ")
    assert f"of train by k-means {'a' * 12}" in told
    assert f"Delete dict.{FORMS[name][0]}.txt" in told


@pytest.mark.parametrize("name", FORMS)
def test_labels_of_an_older_manifest(data: Path, name: str) -> None:
    labelled_by(data, "train", "a" * 64, name, FORMS[name])
    lines = (data / "train.tsv").read_text().splitlines()
    (data / "train.tsv").write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + "\n")  # another draw
    checks = {finding.check: finding for finding in check_data(data).findings}
    assert checks["label_manifest"].where == str(data / f"train.{name}.json")
    assert "from other tracks or lengths than" in checks["label_manifest"].found
    assert f"delete train.{name}.json" in checks["label_manifest"].remedy


def test_packed_labels_carry_the_record_in_their_header(data: Path) -> None:
    labelled_by(data, "train", "a" * 64)
    job = json.loads((data / "train.rvq.json").read_text())["job"]
    for split, teacher in (("train", "a" * 64), ("valid", "b" * 64)):
        tracks = {"manifest_sha256": Manifest.read(data / f"{split}.tsv").tracks_sha256}
        edit_json(data / f"{split}.encodec.codes.json", settings={**job, **tracks, "sha256": teacher})
    assert "valid.encodec.codes.json" in only(check_data(data), "label_teacher")


def test_a_sidecar_of_labels_that_is_no_json(data: Path) -> None:
    (data / "train.rvq.json").write_text("{")
    assert "train.rvq.json: cannot be read" in only(check_data(data, Options(labels=("rvq_0",))), "label_sidecar")


def test_the_check_is_as_strict_as_training_about_short_labels(data: Path) -> None:
    (data / "train.json").unlink()
    wave = tone(0.08, RATE, 3)  # 6 codes
    soundfile.write(data / "audio" / "3.flac", wave, RATE)
    replace_line(data / "train.tsv", 5, f"3.flac\t{len(wave)}")
    replace_line(data / "train.rvq_0", 4, "1 2")  # lacks less than 0.1 s, but more than half
    replace_line(data / "train.rvq_1", 4, "1 2 3")
    findings = check_data(data, Options(labels=("rvq_0", "rvq_1"))).findings
    assert [finding.where for finding in findings if finding.check == "label_length"] == [f"{data}/train.rvq_0:4"]


@pytest.mark.parametrize("options", [("rvq",), ("rvq", "encodec"), ("kmeans",)])
def test_a_family_of_labels_may_be_asked_for(data: Path, options: tuple[str, ...]) -> None:
    assert check_data(data, Options(labels=options)).findings == []
    (data / "valid.rvq_1").unlink()
    assert found(check_data(data, Options(labels=options))).keys() == (
        {"labels_missing"} if "rvq" in options else set()
    )


def test_a_family_that_is_nowhere_lists_what_there_is(data: Path) -> None:
    told = only(check_data(data, Options(labels=("mfcc",))), "labels_missing")
    assert "none of a family mfcc_0, mfcc_1, ...; found the labels encodec_0, encodec_1, kmeans, rvq_0, rvq_1" in told
