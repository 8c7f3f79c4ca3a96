"""Baselines: their training data, the published accuracies, and the comparison with a model."""

import json
import shutil

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from mert_fairseq.data.fma_features import FMADataset
from mert_fairseq.fma import FMA
from mert_fairseq.fma.constants import PUBLISHED_ACCURACY, PUBLISHED_SHAPES
from mert_fairseq.genre import check
from mert_fairseq.genre.cli import main
from mert_fairseq.genre.features import baselines
from mert_fairseq.genre.features.baseline_models import fit_best
from mert_fairseq.genre.metrics import Predictions
from mert_fairseq.reporting.page import text_table

FAST = ["most frequent genre", "logistic regression", "kNN"]


@pytest.fixture(scope="module")
def computed(tiny_fma):
    return baselines.compute(FMA(tiny_fma), "small", "all", FAST, seed=0)


def test_logistic_regression_is_scikit_learns_with_the_setting_best_on_validation(computed, tiny_fma):
    fma = FMA(tiny_fma)
    train = FMADataset.from_fma(fma, "small", "training")
    valid, test = (FMADataset.from_fma(fma, "small", split, like=train) for split in ("validation", "test"))
    models = [LogisticRegression(C=c, max_iter=1000).fit(*train.arrays()) for c in (0.001, 0.01, 0.1, 1.0)]
    accuracies = [model.score(*valid.arrays()) for model in models]
    best = models[int(np.argmax(accuracies))]
    features, targets = test.arrays()
    row = computed["rows"][1]
    assert row["setting"] == f"C={best.C:g}"
    assert row["valid_accuracy"] == max(accuracies)
    assert row["accuracy"] == best.score(features, targets)
    assert row["macro_f1"] == pytest.approx(f1_score(targets, best.predict(features), average="macro"))


def test_always_the_most_frequent_genre_gets_its_share(computed):
    assert computed["rows"][0]["accuracy"] == 1 / 8


def test_settings_that_need_more_tracks_than_there_are_are_left_out(computed):
    assert computed["rows"][2]["setting"] in ("k=10", "k=50")  # 64 training tracks


def test_an_svm_of_two_genres_scores_the_right_one_higher():
    features = np.array([[-1.0], [-0.8], [-0.9], [0.9], [1.1], [1.0]], dtype=np.float32)
    genres = np.array([0, 0, 0, 1, 1, 1])
    fitted = fit_best("SVM", (features, genres), (features, genres), features, genres=2, seed=0)
    assert fitted.valid_accuracy == 1.0
    assert fitted.scores.argmax(1).tolist() == genres.tolist()


def test_the_seed_is_the_mlps():
    rng = np.random.default_rng(0)
    split = rng.normal(size=(60, 4)).astype(np.float32), np.repeat([0, 1, 2], 20)
    first, again, other = (fit_best("MLP", split, split, split[0], genres=3, seed=seed).scores for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_the_commands_seed_reaches_the_models(tiny_fma, monkeypatch, capsys):
    seeds = []

    def fit(model, train, valid, test, genres, seed):
        seeds.append(seed)
        return fit_best("most frequent genre", train, valid, test, genres, seed)

    monkeypatch.setattr(baselines, "fit_best", fit)
    assert main(["baselines", str(tiny_fma), "--subset", "small", "--models", "MLP", "--seed", "7", "--json"]) == 0
    assert (seeds, json.loads(capsys.readouterr().out)["seed"]) == ([7], 7)


def test_published_accuracies_are_shown_for_the_real_fma_only(computed, tiny_fma, monkeypatch):
    assert not computed["published"]
    assert {row["published_accuracy"] for row in computed["rows"]} == {None}
    assert "Not the published FMA: tracks.csv has 200 tracks, the published one 106,574" in baselines.note(computed)
    monkeypatch.setitem(PUBLISHED_SHAPES, "tracks.csv", (200, 52))
    monkeypatch.setitem(PUBLISHED_SHAPES, "features.csv", (200, 518))
    monkeypatch.setitem(PUBLISHED_ACCURACY, ("small", "all"), PUBLISHED_ACCURACY["medium", "all"])
    real = baselines.compute(FMA(tiny_fma), "small", "all", FAST, seed=0)
    assert [row["published_accuracy"] for row in real["rows"]] == [None, 0.61, 0.52]
    assert "Defferrard" in baselines.note(real)
    assert baselines.cells(real["rows"][1])[-1] == "61.0 %"


def test_baselines_use_only_the_selected_features(tiny_fma):
    found = baselines.compute(FMA(tiny_fma), "small", "mfcc+spectral_contrast", FAST[1:2], seed=0)
    assert found["rows"][0]["model"] == "logistic regression"
    with pytest.raises(ValueError, match="features 'mfccs' are unknown, expected all or some of chroma_cens"):
        baselines.compute(FMA(tiny_fma), "small", "mfcc+mfccs", FAST, seed=0)


def test_the_row_of_the_model_is_below_the_baselines(computed):
    ids = computed["test_ids"]
    perfect = Predictions(list(reversed(ids)), np.eye(8), np.arange(8))
    section = baselines.comparison(computed, "fma_feature_transformer", perfect)
    assert section.rows[-1] == ["fma_feature_transformer", "", "-", "100.0 %", "100.0 %", "1.000", "-"]
    assert [row[0] for row in section.rows[:-1]] == FAST
    other = Predictions([1, *ids[1:]], np.eye(8), np.arange(8))
    with pytest.raises(ValueError, match="tested on 8 tracks of subset small, the model on 8, of which 7 are the same"):
        baselines.comparison(computed, "fma_feature_transformer", other)


def test_the_command_writes_what_the_report_reads(tiny_fma, tmp_path, capsys):
    out = tmp_path / "new" / "baselines.json"
    assert main(["baselines", str(tiny_fma), "--subset", "small", "--models", *FAST[:2], "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "logistic regression" in printed
    assert "Not the published FMA" in printed
    assert [row["model"] for row in baselines.read_baselines(out)["rows"]] == FAST[:2]


@pytest.mark.parametrize("content", [b"{}", b"# Notes", b"\xff\xfe", b"[]"])
def test_a_file_without_baselines_is_an_error_before_the_model_is_loaded(content, tmp_path, capsys):
    (tmp_path / "README.md").write_bytes(content)
    command = ["report", str(tmp_path / "none.pt"), "--out", str(tmp_path), "--baselines", str(tmp_path / "README.md")]
    assert main(command) == 1
    assert (
        "README.md: not a file of baselines. Give the file that mert-genre baselines --out wrote"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("split", "multi_label", "found"),
    [
        ("valid", False, "a single-label model and the split valid"),
        ("test", True, "a multi-label model and the split test"),
    ],
)
def test_only_single_label_models_on_the_test_split_are_compared_with_baselines(split, multi_label, found):
    baselines.check_comparable("test", multi_label=False)
    with pytest.raises(ValueError, match=found):
        baselines.check_comparable(split, multi_label)


def test_check_counts_the_tracks_of_each_genre(tiny_fma, capsys):
    assert main(["check", str(tiny_fma), "--subset", "small", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tracks"] == {"training": 64, "validation": 8, "test": 8}
    assert found["genres"]["Rock"] == {"training": 8, "validation": 1, "test": 1}
    assert (found["missing"], found["published"]) == (0, False)


def test_check_reports_a_track_in_two_splits(tiny_fma, monkeypatch, capsys):
    training = check.labelled_tracks(FMA(tiny_fma), "small", "training", "genre_top")
    monkeypatch.setattr(check, "labelled_tracks", lambda *arguments: training)
    assert main(["check", str(tiny_fma), "--subset", "small"]) == 1
    assert "64 tracks are in training and in validation" in capsys.readouterr().err


def test_check_stops_at_a_track_without_features(tiny_fma, tmp_path, capsys):
    folder = shutil.copytree(tiny_fma, tmp_path / "fma_metadata")
    track = FMA(tiny_fma).select("small", "test").index[0]
    lines = (folder / "features.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{track},")]
    assert len(kept) == len(lines) - 1
    (folder / "features.csv").write_text("".join(kept))
    assert main(["check", str(folder), "--subset", "small"]) == 1
    assert f"1 of 8 tracks have no features, the first is {track}" in capsys.readouterr().err


def test_text_tables_align():
    assert text_table(["a", "bb"], [["ccc", "1"], ["d", "100"]]) == "a     bb\nccc    1\nd    100"
