"""The quickstart's report: written from logs and measurements made up by hand, and failing when nothing was learnt."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/quickstart"))

import measure
import report

from mert_fairseq.reporting.training_log import TrainingLog

QUICKSTART = Path(report.__file__).parent
LABELS = ["rvq_0", "rvq_1"]


def write_log(path: Path, updates: range) -> Path:
    """A log of fairseq's, falling losses."""
    lines = []
    for update in updates:
        values = {"loss": 10 - update / 100, "cqt_pred_m": 0.5, "num_updates": update}
        values |= {f"{name}_m_{q}": 0.1 + q for q in range(2) for name in ("loss", "accuracy")}
        lines.append(f"[10:00][train_inner][INFO] - {json.dumps({k: str(v) for k, v in values.items()})}\n")
    path.write_text("".join(lines))
    return path


@pytest.fixture
def folder(tmp_path):
    """A report's folder with measurements that pass, and the logs of a training and of its continuation."""
    figures = {
        "labels": LABELS,
        "parameters": 1000,
        "seconds_pictured": 1.0,
        "masked_frames": 400,
        "accuracy": [0.31, 0.1],
        "most_frequent": [0.2, 0.2],
        "nearest_visible": [0.7, 0.6],
        "chance": [0.25, 0.25],
        "cqt_error": 0.4,
        "cqt_error_of_mean": 0.5,
    }
    (tmp_path / "measurements.json").write_text(json.dumps(figures))
    rng = np.random.default_rng(0)
    cqt = rng.random((75, 12))
    np.savez(tmp_path / "measurements.npz", cqt=cqt, prediction=cqt * 0.5, features=rng.random((2, 75, 8)))
    write_log(tmp_path / "first.log", range(10, 60, 10))
    write_log(tmp_path / "second.log", range(60, 110, 10))
    return tmp_path


def change(folder: Path, **values: object) -> None:
    path = folder / "measurements.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def build(folder: Path, checked: bool = True) -> tuple[Path, list[str]]:
    return report.build(folder, [folder / "first.log", folder / "second.log"], checked)


def faults_of(folder: Path, **values: object) -> list[str]:
    """What the report finds wrong once these values have been changed."""
    change(folder, **values)
    figures = json.loads((folder / "measurements.json").read_text())
    return report.faults(figures, *(TrainingLog.read(folder / name) for name in ("first.log", "second.log")))


def test_a_model_that_learnt_and_resumed_passes(folder):
    page, faults = build(folder)
    assert faults == []
    html = page.read_text()
    assert "31.0 %" in html
    pictures = ("loss", "loss_codes", "loss_cqt", "accuracy", "bars", "cqt", "features")
    for name in pictures:
        assert f'src="{name}.png"' in html
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"accuracy": [0.3, 0.9]}, r"accuracy of rvq_0 on held-out music is 0\.300; .* gets 0\.200"),
        ({"accuracy": [float("nan"), 0.9]}, r"accuracy of rvq_0 on held-out music is nan"),
        ({"cqt_error": 0.5}, r"CQT error on held-out music is 0\.5000; .* gets 0\.5000"),
        ({"cqt_error": float("nan")}, r"CQT error on held-out music is nan"),
    ],
)
def test_a_model_no_better_than_guessing_fails(folder, found, message):
    faults = faults_of(folder, **found)
    assert len(faults) == 1
    assert re.search(message, faults[0])


def test_a_training_that_began_again_instead_of_resuming_fails(folder):
    write_log(folder / "second.log", range(10, 110, 10))
    faults = faults_of(folder)
    assert len(faults) == 1
    assert "began again at update 10, though the first had reached 50" in faults[0]


def test_a_short_run_is_not_checked_and_the_page_says_so(folder):
    change(folder, accuracy=[0.0, 0.0])
    page, faults = build(folder, checked=False)
    assert faults == []
    assert "nothing was checked" in page.read_text()


def test_the_command_exits_1_and_names_the_page_all_the_same(folder):
    change(folder, cqt_error=0.6)
    logs = [str(folder / "first.log"), str(folder / "second.log")]
    command = [sys.executable, str(QUICKSTART / "report.py"), str(folder), "--logs", *logs]
    done = subprocess.run(command, capture_output=True, text=True, cwd=QUICKSTART.parents[1], check=False)
    assert done.returncode == 1
    assert f"Report: {folder / 'index.html'}" in done.stdout
    assert "FAILED: The CQT error" in done.stderr
    assert "Failed: The CQT error" in (folder / "index.html").read_text()


def test_the_nearest_visible_frame_is_found_on_either_side():
    masked = torch.tensor([True, False, True, True, True, False, True])
    assert measure.nearest_visible(masked).tolist() == [1, 1, 1, 5, 5]


def test_a_tally_counts_right_answers_and_the_best_constant_guesses():
    masked = torch.tensor([[True, False, True, True]])
    targets = torch.tensor([[5, 5, 6, 5]])  # one codebook, four frames
    logits = torch.eye(8)[[5, 6, 6]]  # right, right, wrong
    output = {"mask_indices": masked, "masked": [(0, logits, targets[0, masked[0]])], "cqt_pred_m": torch.tensor(0.25)}
    tally = measure.Tally([8])
    tally.add(output, targets, torch.tensor([[1.0], [9.0], [2.0], [3.0]]))
    figures = tally.figures()
    assert figures["accuracy"] == pytest.approx([2 / 3])
    assert figures["most_frequent"] == pytest.approx([2 / 3])
    assert figures["nearest_visible"] == pytest.approx([2 / 3])  # frame 1 has class 5
    assert figures["cqt_error"] == pytest.approx(0.25)
    assert figures["cqt_error_of_mean"] == pytest.approx(2 / 3)  # variance of 1, 2, 3


def test_a_training_that_fails_gives_its_status_and_the_end_of_its_log(tmp_path):
    program = "import sys; print('before'); print('ValueError: no labels'); sys.exit(3)"
    command = [sys.executable, str(QUICKSTART / "watch.py"), "--updates", "9", "--log", str(tmp_path / "log"), "--"]
    done = subprocess.run([*command, sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "ValueError: no labels" in done.stderr
    assert f"status 3; the whole log is {tmp_path / 'log'}" in done.stderr
    assert (tmp_path / "log").read_text() == "before\nValueError: no labels\n"


def test_the_bar_follows_the_updates_in_the_log(tmp_path):
    line = '[t][train_inner][INFO] - {"loss": "5.5", "accuracy_m_0": "0.25", "num_updates": "7"}'
    command = [sys.executable, str(QUICKSTART / "watch.py"), "--updates", "9", "--log", str(tmp_path / "log"), "--"]
    done = subprocess.run([*command, "echo", line], capture_output=True, text=True, check=True)
    assert "7/9" in done.stderr
    assert "loss=5.5" in done.stderr
    assert "accuracy_0=0.25" in done.stderr
