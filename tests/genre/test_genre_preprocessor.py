"""The preprocessor against scikit-learn's pipeline; what it learns from whom; its file; bad features."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from mert_fairseq.data.fma_features import Preprocessor, register_transform

COLUMNS = pd.MultiIndex.from_tuples([("mfcc", "mean", f"{number:02d}") for number in range(1, 7)])


def table(rows, seed=0, gaps=0):
    rng = np.random.default_rng(seed)
    values = rng.normal([0, 5, -3, 100, 1, 0], [1, 2, 0.1, 50, 1, 3], (rows, 6))
    values[:, 5] += 2 * values[:, 0]
    for place in range(gaps):
        values[place * 3, place % 6] = np.nan
    return pd.DataFrame(values, columns=COLUMNS, index=range(1000, 1000 + rows))


TRAIN, TEST = table(60, gaps=8), table(20, seed=1, gaps=3)


def preprocessor(**options):
    return Preprocessor(max_missing_share=0.2, **options)


def pipeline(strategy="median", clip=5.0, *more):
    clipping = FunctionTransformer(lambda values: np.clip(values, -clip, clip))
    return make_pipeline(SimpleImputer(strategy=strategy), StandardScaler(), clipping, *more)


@pytest.mark.parametrize(("impute", "clip"), [("median", 5.0), ("mean", 0.7)])
def test_it_equals_scikit_learns_pipeline(impute, clip):
    expected = pipeline(impute, clip).fit(TRAIN.to_numpy()).transform(TEST.to_numpy())
    found = preprocessor(impute=impute, clip=clip).fit(TRAIN).transform(TEST)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("components", [3, 0.9])
def test_principal_components_are_scikit_learns_with_variance_one(components):
    expected = pipeline("median", 5.0, PCA(components, whiten=True, svd_solver="full")).fit(TRAIN.to_numpy())
    made = preprocessor(pca=components).fit(TRAIN)
    np.testing.assert_allclose(made.transform(TEST), expected.transform(TEST.to_numpy()), rtol=1e-4, atol=1e-5)
    assert made.outputs == made.components == expected[-1].n_components_
    np.testing.assert_allclose(made.transform(TRAIN).var(0, ddof=1), 1, rtol=1e-4)


def test_transforms_come_first_and_custom_ones_are_registered_by_name():
    logged = np.sign(TRAIN) * np.log1p(np.abs(TRAIN))
    expected = preprocessor().fit(logged).transform(logged)
    np.testing.assert_allclose(preprocessor(transforms=["signed_log"]).fit(TRAIN).transform(TRAIN), expected)
    register_transform("tripled", _tripled)
    tripled = preprocessor(transforms=["tripled"], clip=0).fit(TRAIN).transform(TEST)
    np.testing.assert_allclose(tripled, preprocessor(clip=0).fit(TRAIN).transform(TEST), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="'tripled' is already registered"):
        register_transform("tripled", np.cbrt)
    with pytest.raises(ValueError, match="'unheard_of' is unknown, expected one of .*Call register_transform"):
        Preprocessor(transforms=["unheard_of"])


def _tripled(values):
    return 3 * values


def test_columns_go_by_name_and_further_ones_do_not_matter():
    made = preprocessor().fit(TRAIN)
    shuffled = TEST[TEST.columns[::-1]].assign(more=1.0)
    np.testing.assert_array_equal(made.transform(shuffled), made.transform(TEST))


def test_a_constant_feature_becomes_zero():
    constant = TRAIN.assign(**{})
    constant[COLUMNS[1]] = 4.0
    assert preprocessor().fit(constant).transform(constant)[:, 1].tolist() == [0.0] * 60


@pytest.mark.parametrize("options", [{}, {"pca": 2, "transforms": ["signed_root"], "impute": "mean", "clip": 2.0}])
def test_its_file_and_its_state_give_the_same_numbers(options, tmp_path):
    made = preprocessor(**options).fit(TRAIN)
    made.save(tmp_path / "preprocessor.npz")
    with np.load(tmp_path / "preprocessor.npz", allow_pickle=False) as stored:
        assert json.loads(str(stored["meta"]))["columns"][0] == "mfcc/mean/01"
    for copy in (Preprocessor.load(tmp_path / "preprocessor.npz"), Preprocessor.from_state_dict(made.state_dict())):
        np.testing.assert_array_equal(copy.transform(TEST), made.transform(TEST))
        assert copy.options == made.options


def test_files_with_pickled_objects_and_other_files_are_errors(tmp_path):
    path = tmp_path / "preprocessor.npz"
    np.savez(path, meta=np.array([{"options": {}}], dtype=object))
    with pytest.raises(ValueError, match=r"cannot be read as a preprocessor .*Object arrays cannot be loaded"):
        Preprocessor.load(path)
    path.write_text("no archive")
    with pytest.raises(ValueError, match="cannot be read as a preprocessor"):
        Preprocessor.load(path)
    with pytest.raises(FileNotFoundError, match="no such preprocessor"):
        Preprocessor.load(tmp_path / "other.npz")


def spoilt(column, value, rows=1):
    bad = table(60)
    bad.iloc[7 : 7 + rows, column] = value
    return bad


def test_bad_features_are_errors():
    with pytest.raises(ValueError, match=r"track 1007: 6 of 6 features are missing \(NaN\), the first is mfcc/mean/01"):
        preprocessor().fit(spoilt(slice(None), np.nan))
    with pytest.raises(ValueError, match=r"feature mfcc/mean/03 is missing in 33.3% of the training tracks"):
        preprocessor().fit(spoilt(2, np.nan, rows=20))
    with pytest.raises(ValueError, match=r"track 1007: mfcc/mean/02 is infinite \(and 0 more values\)"):
        preprocessor().fit(spoilt(1, np.inf))
    with pytest.raises(ValueError, match=r"track 1000: 1 of 6 features are missing .* at most 0.0%"):
        preprocessor(impute="none").fit(TRAIN)
    with pytest.raises(ValueError, match=r"1 of 6 features are missing from the table, the first is mfcc/mean/04"):
        preprocessor().fit(TRAIN).transform(TEST.drop(columns=[COLUMNS[3]]))


def test_wrong_use_is_an_error():
    with pytest.raises(ValueError, match="is not fitted"):
        Preprocessor().transform(TEST)
    with pytest.raises(ValueError, match="impute is 'zero'"):
        Preprocessor(impute="zero")
    with pytest.raises(ValueError, match=r"pca 1.5; expected .* integer pca"):
        Preprocessor(pca=1.5)
    with pytest.raises(ValueError, match="at most 6 components"):
        preprocessor(pca=7).fit(TRAIN)
    with pytest.raises(ValueError, match="found 1 training tracks"):
        preprocessor().fit(TRAIN[:1])
