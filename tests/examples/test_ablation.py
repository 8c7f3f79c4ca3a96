"""The ablation's own logic: which music it gathers, its options and arms, its report."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(autouse=True)
def _scripts(repo_root, monkeypatch):
    monkeypatch.syspath_prepend(str(repo_root / "examples/ablation"))


@pytest.fixture
def run(typed):
    """Type run.sh with options."""
    return partial(typed, "examples/ablation/run.sh")


def recording(folder: Path, path: str) -> Path:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    return file


def score_set(folder: Path, name: str, rows: list[tuple[str, str, str]]) -> None:
    """A set with path, piece and split of its clips."""
    (folder / name).mkdir(parents=True)
    lines = [json.dumps({"path": path, "piece": piece, "split": split}) for path, piece, split in rows]
    (folder / name / "manifest.jsonl").write_text("\n".join(lines))
    for path, _, _ in rows:
        (folder / name / path).write_bytes(b"")


def links(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.resolve().name for path in folder.rglob("*") if path.is_symlink()}


def gather(repo_root: Path, *options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, repo_root / "examples/ablation/gather.py", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_second_recording_becomes_a_piece_of_its_own(repo_root, tmp_path):
    for name in ("a/1.ogg", "a/2.mp3", "b/3.flac", "b/cover.png"):
        recording(tmp_path / "in", name)
    assert gather(repo_root, "--audio", tmp_path / "in", "--out", tmp_path / "out", "--every", 2).returncode == 0
    assert links(tmp_path / "out") == {"recordings/a_1/1.ogg": "1.ogg", "recordings/b_3/3.flac": "3.flac"}


def test_only_training_clips_of_scores_are_taken_and_versions_share_a_folder(repo_root, tmp_path):
    rows = [("x0.wav", "x", "train"), ("x1.wav", "x", "train"), ("x2.wav", "x", "train"), ("y.wav", "y", "test")]
    score_set(tmp_path / "scores", "key", rows)
    assert (
        gather(repo_root, "--scores", tmp_path / "scores", "--out", tmp_path / "out", "--versions", 2).returncode == 0
    )
    assert links(tmp_path / "out") == {"scores/key_x/x0.wav": "x0.wav", "scores/key_x/x1.wav": "x1.wav"}


def test_a_folder_without_music_is_refused(repo_root, tmp_path):
    done = gather(repo_root, "--audio", tmp_path, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert f"{tmp_path}: no music file" in done.stderr
    assert "Traceback" not in done.stderr


def test_gathering_never_deletes_a_folder_that_it_did_not_make(repo_root, tmp_path):
    thesis = recording(tmp_path / "out", "thesis.txt")
    recording(tmp_path / "in", "1.ogg")
    done = gather(repo_root, "--audio", tmp_path / "in", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "holds files that are no links" in done.stderr
    assert thesis.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--arms", "nope"), "--arms: found nope, expected one of: rvq_cqt mfcc"),
        (("--updates", "many"), "--updates is 'many', expected a whole number above 0"),
        (("--seeds", "1,2"), "--seeds is '1,2', expected whole numbers with blanks between them"),
        (("--stop-stage", "1"), "give --audio, --scores, or both"),
        (("--stage", "4"), "--scores is missing: stage 4 probes on its sets"),
    ],
)
def test_wrong_options_are_refused(run, tmp_path, options, message):
    done = run("--out", tmp_path / "out", *options)
    assert done.returncode == 2
    assert message in done.stderr


def test_scores_for_pretraining_can_be_others_than_those_for_probes(run, tmp_path):
    score_set(tmp_path / "scores", "key", [("x.wav", "x", "train")])
    score_set(tmp_path / "more", "key", [(f"y{n}.wav", "y", "train") for n in range(3)])
    options = ("--scores", tmp_path / "scores", "--pretrain-scores", tmp_path / "more", "--versions", 2)
    done = run("--out", tmp_path / "out", *options, "--stop-stage", 1)
    assert links(tmp_path / "out/music") == {"scores/key_y/y0.wav": "y0.wav", "scores/key_y/y1.wav": "y1.wav"}
    assert "no track is left: 2 empty" in done.stderr


def test_a_finished_training_is_not_repeated(run, tmp_path):
    finished = recording(tmp_path, "out/runs/mfcc_7/seconds")
    done = run("--out", tmp_path / "out", "--stage", 3, "--stop-stage", 3, "--arms", "mfcc", "--seeds", 7)
    assert (done.returncode, list((tmp_path / "out/runs/mfcc_7").iterdir())) == (0, [finished])


def test_every_arm_is_a_recipe_that_hydra_composes(repo_root):
    from hydra import compose, initialize_config_dir

    lines = [line.split("\t") for line in (repo_root / "examples/ablation/arms.tsv").read_text().splitlines()[1:]]
    assert len({line[0] for line in lines}) == len(lines)
    with initialize_config_dir(str(repo_root / "config/pretrain"), version_base=None):
        for _, labels, *overrides in lines:
            config = compose("small", ["task.data=x", f"task.labels={labels}", *" ".join(overrides).split()])
            assert config.model.encoder_embed_dim == 192


def result(model: str, mean: float) -> dict:
    def score(value: float) -> dict:
        return {"accuracy": {"mean": value, "sd": None, "low": None, "high": None, "values": [value]}}

    found = {"model": model, "task": "rendered-key", "monitor": "accuracy", "scores": score(mean)}
    return found | {"copies": {"noise_20db": score(mean / 2)}}


def test_an_arm_has_the_mean_and_interval_of_its_seeds():
    import tables

    results = [result(f"mfcc_{seed}_checkpoint_last", mean) for seed, mean in enumerate((0.5, 0.6, 0.7))]
    scores = tables.scores_of([*results, result("mfcc", 0.4)])["rendered-key"]
    # sd 0.1, Student's t for 2 degrees of freedom 4.303: 4.303 x 0.1 / sqrt(3) = 0.248
    assert tables.cell(scores["mfcc"]) == "0.600 ± 0.248"
    assert tables.cell(scores["mfcc statistics"]) == "0.400"
    assert tables.scores_of(results, "noise_20db")["rendered-key"]["mfcc"]["mean"] == pytest.approx(0.3)
    assert tables.arm_of("random_mfcc_1_checkpoint_last") == "random weights"


def test_an_interval_of_a_difference_has_the_width_of_its_binomial():
    from intervals import difference

    # 400 clips; ours has 300 right, theirs 200, independent of each other: the difference of the drawn means has a
    # standard deviation of sqrt((0.75 x 0.25 + 0.5 x 0.5) / 400) = 0.0331, 1.96 of which are 0.0648
    ours = np.stack([np.arange(400) % 4 != 0, np.ones(400)], 1).astype(float)
    theirs = np.stack([np.arange(400) // 4 % 2 == 0, np.ones(400)], 1).astype(float)
    found = difference([ours], [theirs])
    assert found["mean"] == 0.25
    assert (found["high"] - found["low"]) / 2 == pytest.approx(0.0648, rel=0.05)


def test_clips_that_are_equally_hard_for_both_do_not_widen_a_difference():
    from intervals import difference

    right = (np.arange(100) < 50).astype(float)
    pair = [np.stack([right, np.ones(100)], 1)]
    assert difference(pair, pair) == {"mean": 0.0, "low": 0.0, "high": 0.0}


def test_the_table_of_differences_is_bold_where_the_interval_leaves_out_zero(tmp_path):
    import tables

    right = {"rvq_cqt_1_checkpoint_last": 90, "mfcc_1_checkpoint_last": 50, "cqt": 89}
    for model, count in right.items():
        (tmp_path / "rendered-key" / model).mkdir(parents=True)
        shares = np.stack([np.arange(100) < count, np.ones(100)], 1).astype(float)
        units = np.arange(100).astype(str)
        np.savez(tmp_path / "rendered-key" / model / "shares.npz", shares=shares[None], units=units)
    table = tables.differences([result(model, 0.5) for model in right], tmp_path, "rvq_cqt").splitlines()[2:]
    assert table[0].startswith("| mfcc | **+40.0 [")
    assert table[1].startswith("| cqt statistics | +1.0 [0.0, ")
    np.savez(tmp_path / "rendered-key/cqt/shares.npz", shares=shares[None], units=np.arange(1, 101).astype(str))
    with pytest.raises(SystemExit, match="tested on different clips"):
        tables.differences([result(model, 0.5) for model in right], tmp_path, "rvq_cqt")


def test_predictions_are_averaged_over_seeds_and_keep_mask_lengths_apart():
    import tables

    def line(seed: int, mask_length: int, accuracy: float) -> str:
        figures = {"accuracy": [accuracy], "nearest_visible": [0.3], "most_frequent": [0.1], "labels": ["rvq_0"]}
        return json.dumps({"checkpoint": f"out/rvq_{seed}/checkpoint_last.pt", "mask_length": mask_length, **figures})

    rows = tables.predictions([line(1, 10, 0.2), line(2, 10, 0.4), line(1, 5, 0.5)]).splitlines()[2:]
    # sd 0.1414, t for 1 degree of freedom 12.706: 12.706 x 0.1414 / sqrt(2) = 1.27
    assert rows[0] == "| rvq | rvq_0 | 10 | 2 | 30.0 ± 127.1 | 30.0 ± 0.0 | 10.0 ± 0.0 |  |  |"
    assert rows[1] == "| rvq | rvq_0 | 5 | 1 | 50.0 | 30.0 | 10.0 |  |  |"


def test_curves_are_the_validations_of_each_run(tmp_path):
    import curves

    log = tmp_path / "mask_25_1/log"
    log.parent.mkdir()
    lines = [{"valid_accuracy_m_0": f"0.{n}", "valid_num_updates": f"{100 * n}"} for n in (1, 3)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = curves.read_curves(tmp_path)
    assert list(found) == ["mask_25, seed 1"]
    assert (found["mask_25, seed 1"].updates.tolist(), found["mask_25, seed 1"].values.tolist()) == (
        [100, 300],
        [10, 30],
    )
    with pytest.raises(SystemExit, match="no run ARM_SEED"):
        curves.read_curves(tmp_path / "mask_25_1")


def test_minutes_of_trainings_are_listed_by_arm(tmp_path):
    import tables

    for run, seconds in (("mask_25_1", 600), ("mask_25_2", 1230)):
        (tmp_path / run).mkdir()
        (tmp_path / run / "seconds").write_text(f"{seconds}\n")
    assert tables.trainings(tmp_path).splitlines()[2] == "| mask_25 | 2 | 10, 20 |"


def test_files_of_a_class_are_divided_three_to_one_to_one(tmp_path):
    from folder_genres import rows

    for name in ("a", "b"):
        for number in range(5):
            recording(tmp_path, f"{name}/{number}.ogg")
    recording(tmp_path, "small/0.ogg")  # too few files for a test
    found = rows(tmp_path)
    assert [row for row in found if row[1] == "a"] == [
        ("a/0.ogg", "a", "train"),
        ("a/1.ogg", "a", "train"),
        ("a/2.ogg", "a", "valid"),
        ("a/3.ogg", "a", "train"),
        ("a/4.ogg", "a", "test"),
    ]
    assert {row[1] for row in found} == {"a", "b"}
    tested = [path for fold in range(5) for path, _, split in rows(tmp_path, fold) if split == "test"]
    assert sorted(tested) == sorted(row[0] for row in found)


def test_one_class_is_refused(tmp_path):
    from folder_genres import rows

    for number in range(5):
        recording(tmp_path, f"a/{number}.ogg")
    with pytest.raises(ValueError, match="found 1 folders with at least 5 music files, expected two or more"):
        rows(tmp_path)


@pytest.mark.slow
def test_recordings_become_trained_arms_and_a_report_and_the_second_run_does_nothing_again(run, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(24):
        wave = 0.3 * np.sin(2 * np.pi * 110 * (1 + number) * np.arange(36_000) / 24_000) + 0.05 * rng.normal(
            size=36_000
        )
        soundfile.write(tmp_path / f"in/{number}.wav", wave, 24_000)
    options = ["--out", tmp_path / "out", "--audio", tmp_path / "in", "--codes", 16, "--updates", 2, "--workers", 1]
    options += ["--arms", "rvq_cqt mfcc", "--seeds", "1"]
    done = run(*options, "--stop-stage", 3)
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "out/runs/mfcc_1/checkpoint_last.pt").stat().st_mtime_ns
    assert run(*options, "--stage", 2, "--stop-stage", 3).returncode == 0
    assert (tmp_path / "out/runs/mfcc_1/checkpoint_last.pt").stat().st_mtime_ns == first
    done = run(*options, "--stage", 5)
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "out/report.md").read_text()
    assert "| rvq_cqt | rvq_0 | 10 | 1 |" in report
    assert "| mfcc | mfcc_100 | 10 | 1 |" in report
