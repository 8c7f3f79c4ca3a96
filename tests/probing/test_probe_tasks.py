"""Every task on a tree of its data set's true shape: rules of the splits, checks, and a run from audio to report."""

import json
import shutil

import numpy as np
import pytest
from probe_doubles import BandSource

from mert_fairseq.probing.check_data import check_task
from mert_fairseq.probing.probe_data import plain_name, sha1_number
from mert_fairseq.probing.report import write_reports
from mert_fairseq.probing.run_probe import for_task, read_data, run_task
from mert_fairseq.probing.search.protocol import Protocol
from mert_fairseq.probing.tasks import PAPER_TASKS, TASKS, find_task
from mert_fairseq.probing.tasks.emomusic import is_training_artist
from mert_fairseq.probing.tasks.giantsteps import normal_key, split_by_artist
from mert_fairseq.probing.tasks.vocalset import TEST_SINGERS, find_files, split_groups

QUICK = Protocol(hidden=16, learning_rates=(1e-2,), seeds=(1, 2), layers=(1,), batch_clips=16)
SIZES = {
    "gtzan-genre": (20, 20, 20),
    "gtzan-beats": (20, 20, 20),
    "emomusic": (11, 5, 4),
    "mtt": (35, 3, 9),
    "mtt-tagged": (34, 3, 9),
    "mtg-genre": (4, 4, 4),
    "nsynth-instrument": (22, 22, 22),
    "nsynth-pitch": (22, 22, 22),
    "musdb18": (2, 2, 2),
    "fma-small": (26, 3, 3),
    "rendered-key": (6, 6, 6),
}
CLIP_TASKS = [name for name in TASKS if name not in ("musdb18", "fma-medium")]


def test_the_paper_has_14_tasks_and_one_is_split_two_ways():
    names = {task.name for task in PAPER_TASKS}
    assert len(names) == 15
    assert names - {"mtt-tagged"} == {
        "mtt", "mtg-genre", "mtg-instrument", "mtg-moodtheme", "mtg-top50", "gtzan-genre", "gtzan-beats", "emomusic",
        "giantsteps-key", "nsynth-instrument", "nsynth-pitch", "vocalset-singer", "vocalset-technique", "musdb18",
    }  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_every_card_says_what_a_user_needs(name):
    card = TASKS[name].card
    assert all((card.title, card.url, card.licence, card.citation, card.layout, card.how))
    assert name in card.title.lower() or TASKS[name].title


@pytest.mark.parametrize("name", SIZES)
def test_a_tree_of_the_true_shape_is_read_and_has_no_errors(name, tree):
    task = find_task(name)
    checked = check_task(task, tree(task.folder))
    assert not checked.errors, checked.findings
    assert tuple(checked.data.sizes.values()) == SIZES[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", CLIP_TASKS)
def test_a_task_runs_from_audio_to_report(name, tree, tmp_path):
    _run(name, tree, tmp_path)


@pytest.mark.parametrize("name", ["gtzan-genre", "mtt", "emomusic", "rendered-key", "rendered-beats"])
def test_one_task_of_each_kind_runs_from_audio_to_report(name, tree, tmp_path):
    results = _run(name, tree, tmp_path)
    # the labels are true by construction: what can be heard is learnt
    expected = {"gtzan-genre": 0.9, "rendered-key": 0.6}.get(name, -1e3)
    assert results["scores"][find_task(name).metrics[0]]["mean"] >= expected


def _run(name, tree, out):
    task = find_task(name)
    data = read_data(task, tree(task.folder), out)
    source = BandSource()
    protocol = for_task(QUICK, task, 15)
    results = run_task(task, data, source, protocol, out, device="cpu", quiet=True)
    assert set(results["scores"]) == set(task.metrics)
    assert all(np.isfinite(each["mean"]) or name.startswith("mtg") for each in results["scores"].values())
    extracted = source.clips
    assert run_task(task, data, source, protocol, out, device="cpu", quiet=True) == results
    assert source.clips == extracted
    pages = write_reports(out, TASKS, {name: tree(task.folder)})
    assert [page.parent.name for page in pages] == [name]
    assert task.title in pages[0].read_text()
    assert json.loads((out / "results.json").read_text())[0]["task"] == name
    tested_on = 1 + len(results["copies"])  # the clips, and each kind of changed copies
    assert len((out / "results.csv").read_text().splitlines()) == 1 + tested_on * len(task.metrics)
    return results


def test_the_seven_ways_a_folder_may_be_wrong_are_found(tree, tmp_path):
    data = tmp_path / "gtzan"
    shutil.copytree(tree("gtzan"), data)
    task = find_task("gtzan-genre")
    (data / "genres/blues/blues.00000.wav").unlink()
    (data / "genres/pop/pop.00000.wav").write_bytes(b"RIFF nothing")
    (data / "genres/rock/rock.00000.wav").write_bytes(b"")
    findings = [finding.text for finding in check_task(task, data).findings if finding.kind == "error"]
    assert any("1 of 60 audio files are missing: genres/blues/blues.00000.wav" in text for text in findings)
    assert any("pop.00000.wav: cannot be decoded" in text for text in findings)
    assert any("rock.00000.wav: the file is empty" in text for text in findings)
    with pytest.raises(FileNotFoundError, match="1 of 60 audio files are missing, the first is genres/blues"):
        read_data(task, data, tmp_path / "out")
    (data / "valid_filtered.txt").write_text("polka/polka.00000.wav\n")
    assert "valid_filtered.txt:1: found 'polka/polka.00000.wav', expected a path such as" in _error(task, data)
    (data / "valid_filtered.txt").write_text((data / "train_filtered.txt").read_text())
    assert "found clip blues/blues.00000.wav 2 times" in _error(task, data)
    (data / "valid_filtered.txt").write_text("")
    assert "found no clips in the split valid" in _error(task, data)
    (data / "valid_filtered.txt").unlink()
    assert "valid_filtered.txt: not found. GTZAN: Fetch genres.tar.gz" in _error(task, data)
    assert "no such folder" in _error(task, tmp_path / "nothing")


def _error(task, data):
    errors = [finding.text for finding in check_task(task, data).findings if finding.kind == "error"]
    return errors[0]


def test_the_known_corrupt_clip_is_left_out_with_its_reason(tree, tmp_path):
    data = tmp_path / "gtzan"
    shutil.copytree(tree("gtzan"), data)
    (data / "genres/jazz/jazz.00054.wav").write_bytes(b"damaged")
    with (data / "train_filtered.txt").open("a") as file:
        file.write("jazz/jazz.00054.wav\n")
    read = find_task("gtzan-genre").read(data)
    assert read.left_out == {"jazz/jazz.00054.wav": "corrupt in the copies that are in circulation"}
    assert read.sizes["train"] == 20


def test_lists_that_are_written_are_read_again(tree, tmp_path):
    data = find_task("gtzan-genre").read(tree("gtzan"))
    data.write_splits(tmp_path)
    assert data.resplit(tmp_path).clips == data.clips
    (tmp_path / "test.txt").write_text("nobody\n")
    with pytest.raises(ValueError, match="names 1 clips that .* does not have, the first is 'nobody'"):
        data.resplit(tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="no such split list"):
        data.resplit(tmp_path)


def test_a_label_that_nobody_knows_is_named_with_its_place(tree, tmp_path):
    shutil.copytree(tree("nsynth"), tmp_path / "nsynth")
    path = tmp_path / "nsynth/nsynth-valid/examples.json"
    notes = json.loads(path.read_text())
    next(iter(notes.values()))["instrument_family_str"] = "theremin"
    path.write_text(json.dumps(notes))
    with pytest.raises(
        ValueError, match="nsynth-valid/examples.json: found the label 'theremin', expected one of bass"
    ):
        find_task("nsynth-instrument").read(tmp_path / "nsynth")
    (tmp_path / "manifest.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match="manifest.jsonl:1: cannot be read .*expected a JSON object"):
        find_task("rendered-dance").read(tmp_path)


# the rules of the splits


def test_magnatagatune_splits_by_the_first_hexadecimal_digit(tree):
    data = find_task("mtt").read(tree("magnatagatune"))
    digits = {split: {clip.path.split("/")[1] for clip in clips} for split, clips in data.clips.items()}
    assert digits == {"train": set("0123456789ab"), "valid": {"c"}, "test": set("def")}
    assert len(data.names) == 50
    assert data.left_out == {"35644": "corrupt in the published archive"}


def test_giantsteps_keeps_sure_single_keys_and_splits_by_artist(tree):
    data = find_task("giantsteps-key").read(tree("giantsteps"))
    assert data.sizes["train"] + data.sizes["valid"] == 12
    assert {clip.target for clip in data.clips["test"]} == {"C major", "Eb minor", "G major", "A minor"}
    assert normal_key("A# minor") == "Bb minor"


def test_giantsteps_audio_is_compared_with_the_sums_of_its_repository(tree, tmp_path):
    audio = tmp_path / "giantsteps-key-dataset/audio"
    audio.mkdir(parents=True)
    (audio.parent / "md5").mkdir()
    for name in ("1.LOFI", "2.LOFI"):
        (audio / f"{name}.mp3").write_bytes(b"abc")
    (audio.parent / "md5/1.LOFI.md5").write_text("900150983cd24fb0d6963f7d28e17f72  1.LOFI.mp3\n")  # of abc
    (audio.parent / "md5/2.LOFI.md5").write_text("d41d8cd98f00b204e9800998ecf8427e  2.LOFI.mp3\n")  # of nothing
    assert [error.split(": ")[0][-10:] for error in find_task("giantsteps-key").check(tmp_path)] == ["2.LOFI.mp3"]


def test_artists_who_worked_with_a_valid_artist_are_valid():
    valid = next(name for name in map(str, range(999)) if sha1_number(name) % 116 >= 100)
    train = next(name for name in map(str, range(999)) if sha1_number(name) % 116 < 100)
    other = next(name for name in map(str, range(500, 999)) if sha1_number(name) % 116 < 100)
    alone = split_by_artist({"1": [train], "2": [other]})
    assert alone == {"1": "train", "2": "train"}
    together = split_by_artist({"1": [train], "2": [other], "3": [other, valid], "4": [train, other]})
    assert together == dict.fromkeys("1234", "valid")


def test_sha1_of_a_name_is_that_of_the_standard():
    assert sha1_number("abc") == 0xA9993E364706816ABA3E25717850C26C9CD0D89D


def test_emomusic_splits_by_plain_artist_and_standardises_over_development(tree):
    assert plain_name("  The  B-52's & Émile ") == "the bs mile"
    data = find_task("emomusic").read(tree("emomusic"))
    development = np.array([clip.target for split in ("train", "valid") for clip in data.clips[split]])
    np.testing.assert_allclose(development.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(development.std(0), 1, atol=1e-9)
    assert [clip.id for clip in data.clips["test"]] == ["18", "19", "20", "21"]
    assert all(is_training_artist(f"Band {chr(97 + int(clip.id))}") for clip in data.clips["train"])


def test_vocalset_tests_five_singers_and_keeps_groups_together(tree):
    files = find_files(tree("vocalset"))
    assert all(6 <= len(names) <= 7 for names in files.values())
    assert "f3_arpeggios_belt" in [name for name, *_ in files["belt"]]  # its singer was added
    groups = {"technique": [0, 1, 2, 3, 4, 0, 1], "singer": list(range(20)) * 2}
    where = split_groups(groups)
    assert set(where["technique"].values()) == {"train", "valid"}
    counts = [list(where["singer"].values()).count(split) for split in ("train", "valid", "test")]
    assert counts == [9, 7, 4]  # of 20: a fifth for test, 0.4 of the rest, rounded up, for valid
    assert split_groups(groups) == where
    assert {"f2", "f8", "m3", "m5", "m10"} == TEST_SINGERS


@pytest.mark.slow
def test_vocalset_singers_are_in_all_splits_and_technique_tests_other_singers(tree, tmp_path):
    data = find_task("vocalset-technique").read(tree("vocalset"), tmp_path)
    assert {clip.id.split("/")[1].split("_")[0] for clip in data.clips["test"]} <= TEST_SINGERS
    assert {clip.start_seconds for clip in data.clips["test"]} == {0.4}  # the voice sets in at 0.5 s
    assert {clip.seconds for clip in data.clips["test"]} == {132_000 / 44_100}
    assert (tmp_path / "vocalset_starts.json").is_file()


def test_jamendo_reads_the_tags_of_each_column_and_orders_them_by_appearance(tree):
    data = find_task("mtg-genre").read(tree("mtg-jamendo"))
    assert data.names == ("genre---b", "genre---a", "genre---c")
    assert data.clips["train"][0].path == "audio-low/00/0.low.mp3"


def test_no_figure_is_called_published_on_a_small_tree(tree):
    for name in SIZES:
        task = find_task(name)
        assert not task.is_published(task.read(tree(task.folder))), name
