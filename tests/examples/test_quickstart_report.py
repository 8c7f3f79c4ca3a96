"""The quickstart's report: written from logs and measurements made up by hand, and failing when nothing was learnt."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/quickstart"))

import measure
import report

from mert_fairseq.reporting.training_log import TrainingLog

QUICKSTART = Path(report.__file__).parent
LABELS = ["rvq_0", "rvq_1"]
CQT_HZ = 32.7 * 2.0 ** (np.arange(14) / 2)  # 7 octaves of 2 bins


def write_log(path: Path, updates: range) -> Path:
    """A log of fairseq's, falling losses; it ends 5 updates after its last line of values."""
    lines = []
    for update in updates:
        values = {"loss": 10 - update / 100, "cqt_pred_m": 0.5, "num_updates": update}
        values |= {f"{name}_m_{q}": 0.1 + q for q in range(2) for name in ("loss", "accuracy")}
        lines.append(f"[10:00][train_inner][INFO] - {json.dumps({k: str(v) for k, v in values.items()})}\n")
    end = {"train_loss": "9", "train_num_updates": str(updates[-1] + 5)}
    path.write_text("".join([*lines, f"[10:00][train][INFO] - {json.dumps(end)}\n"]))
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
    cqt = rng.random((75, 14))
    arrays = {"cqt": cqt, "prediction": cqt * 0.5, "features": rng.random((2, 75, 8)), "cqt_hz": CQT_HZ}
    np.savez(tmp_path / "measurements.npz", **arrays)
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


def test_the_probe_of_chords_stands_in_the_report_if_there_was_one(folder):
    assert "chord" not in build(folder)[0].read_text()
    accuracy = {"model": [0.87, 0.66], "CQT": [0.55, 0.44]}
    figures = {"labels": ["root", "tonic"], "accuracy": accuracy, "most_frequent": [0.12, 0.13]}
    figures |= {"learnt_from": 2700, "tested": 900}
    (folder / "probe.json").write_text(json.dumps(figures))
    page = build(folder)[0].read_text()
    assert all(text in page for text in ("87.0 %", "44.0 %", "12.0 %", "2,700 frames", "900 frames"))


def test_a_model_that_learnt_and_resumed_passes(folder):
    page, faults = build(folder)
    assert faults == []
    html = page.read_text()
    assert "31.0 %" in html
    pictures = ("loss", "loss_codes", "loss_cqt", "accuracy", "bars", "cqt", "features")
    for name in pictures:
        assert f'src="{name}.png"' in html
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "105 updates" in html
    cells = ("rvq_1", "10.0 %", "20.0 %", "60.0 %", "25.0 %")
    assert "".join(f"<td>{cell}</td>" for cell in cells) in html


def lines_of(figure):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].get_lines()}


def test_the_curves_are_those_of_the_logs_with_a_mark_where_the_training_stopped(folder, drawn):
    build(folder)
    updates, mark = list(range(10, 110, 10)), {"stopped and resumed": ([55, 55], [0, 1])}
    losses = {"training": (updates, [10 - update / 100 for update in updates])}
    assert lines_of(drawn["loss.png"]) == losses | mark
    for name, level in (("loss_codes", ("a uniform guess", 2.0)), ("accuracy", ("most frequent rvq_0, held-out", 0.2))):
        codebooks = {label: (updates, [0.1 + q] * 10) for q, label in enumerate(LABELS)}
        assert lines_of(drawn[f"{name}.png"]) == codebooks | {level[0]: ([0, 1], [level[1]] * 2)} | mark
    cqt = {"training": (updates, [0.5] * 10), "mean spectrum, held-out": ([0, 1], [0.5, 0.5])}
    assert lines_of(drawn["loss_cqt.png"]) == cqt | mark


def test_the_pictures_show_what_was_measured(folder, drawn):
    build(folder)
    heights = [bar.get_height() for bar in drawn["bars.png"].axes[0].patches]
    assert heights == [0.31, 0.1, 0.2, 0.2, 0.25, 0.25]  # model, most frequent code, chance
    with np.load(folder / "measurements.npz") as arrays:
        for axes, name in zip(drawn["cqt.png"].axes, ("cqt", "prediction"), strict=False):
            shown = axes.images[0].get_array()
            np.testing.assert_allclose(shown, np.log10(np.maximum(arrays[name], 0.01)).T)
        for axes, layer in zip(drawn["features.png"].axes, arrays["features"], strict=False):
            np.testing.assert_allclose(axes.images[0].get_array(), layer.T)
    ticks = drawn["cqt.png"].axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks][::3] == ["C1, 33 Hz", "C4, 262 Hz", "C7, 2093 Hz"]
    assert [tick.get_position()[1] for tick in ticks] == [2 * octave + 0.5 for octave in range(7)]


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
    assert "began again at update 10, though the first had reached 55" in faults[0]


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


class OneMaskedFrame:
    """Stands for a MERT of 4 frames: draw n masks frame n alone, and all encodings are the number of masked frames."""

    def __init__(self):
        cqt = torch.arange(8.0).reshape(4, 2)
        self.encoder_cqt_model = SimpleNamespace(
            fc=lambda encoded: encoded @ torch.tensor([[2.0, 3.0]]), target=lambda wave, frames: cqt[None, :frames]
        )

    def __call__(self, source, clip_seeds=None, target_list=None, mask_indices=None, features_only=False):
        if features_only:
            return {"x": mask_indices.sum() * torch.ones(1, 4, 1)}
        return {"mask_indices": torch.eye(4, dtype=torch.bool)[clip_seeds % 4]}


def test_each_frame_of_the_picture_was_predicted_while_it_was_masked():
    sample = {"net_input": {"source": torch.zeros(1, 10), "clip_seeds": torch.tensor([2])}, "target_list": None}
    cqt, prediction = measure.cqt_and_prediction(OneMaskedFrame(), sample)
    assert cqt.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert prediction.tolist() == [[2, 3]] * 4


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
