"""K-means and residual K-means against scikit-learn and by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans

from mert_fairseq.teachers.code_teachers import KMeansTeacher
from mert_fairseq.teachers.features import FrameFeatures
from mert_fairseq.teachers.kmeans import fit_kmeans, nearest, sample_rows
from mert_fairseq.teachers.rvq import ResidualKMeans


def blobs(rows: int, dim: int = 8, centres: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = 4 * rng.standard_normal((centres, dim))
    return (places[rng.integers(centres, size=rows)] + rng.standard_normal((rows, dim))).astype(np.float32)


@pytest.fixture(scope="module")
def teacher() -> ResidualKMeans:
    return ResidualKMeans.fit([blobs(3000)], codebooks=3, codes=16, seed=1, metadata={"note": "blobs"})


def test_centroids_and_codes_equal_those_of_scikit_learn() -> None:
    rows = blobs(5000)
    reference = MiniBatchKMeans(
        16, batch_size=4096, init_size=1024, max_iter=100, max_no_improvement=20, n_init=1, random_state=3
    ).fit(rows)
    centroids = fit_kmeans(rows, 16, seed=3)
    np.testing.assert_allclose(centroids, reference.cluster_centers_, rtol=1e-5)
    assert (nearest(rows, centroids) == reference.predict(rows)).mean() > 0.9995  # what is left are ties


def test_each_codebook_encodes_the_residual_of_those_before(teacher: ResidualKMeans) -> None:
    rows = blobs(500, seed=0)
    residual = (rows - teacher.mean) / teacher.scale
    codes = teacher.encode(rows)
    assert codes.shape == (500, 3)
    assert codes.dtype == np.uint16
    for q in range(3):
        distances = np.linalg.norm(residual[:, None] - teacher.centroids[q], axis=2)
        best = distances.min(1)
        np.testing.assert_allclose(distances[np.arange(500), codes[:, q]], best, rtol=1e-4, atol=1e-4)
        residual = residual - teacher.centroids[q][codes[:, q]]


def decoded(teacher: ResidualKMeans, codes: np.ndarray) -> np.ndarray:
    """(F, q) codes of the first codebooks to the (F, D) features that they stand for."""
    standardised = sum(teacher.centroids[q][codes[:, q]] for q in range(codes.shape[1]))
    return standardised * teacher.scale + teacher.mean


def test_every_codebook_reduces_the_error_of_decoding(teacher: ResidualKMeans) -> None:
    rows = blobs(3000)
    codes = teacher.encode(rows)
    errors = [np.square(decoded(teacher, codes[:, :q]) - rows).mean() for q in range(4)]
    assert errors[0] > 2 * errors[1] > 2 * errors[2] > 0
    assert errors[2] > errors[3]


def test_the_same_stream_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name, cut in (("a", 100), ("b", 100)):
        rows = blobs(2000)
        stream = (rows[at : at + cut] for at in range(0, 2000, cut))
        ResidualKMeans.fit(stream, 2, 8, seed=5, max_frames=500).save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_saved_and_loaded_teachers_give_the_same_codes_without_pickle(teacher: ResidualKMeans, tmp_path: Path) -> None:
    teacher.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"header", "centroids", "mean", "scale"}
    loaded = ResidualKMeans.load(tmp_path / "t.npz")
    assert loaded.metadata == teacher.metadata
    assert loaded.metadata["fitted_on_frames"] == 3000
    np.testing.assert_array_equal(loaded.encode(blobs(100, seed=2)), teacher.encode(blobs(100, seed=2)))


def test_a_reservoir_is_a_uniform_sample_in_any_order() -> None:
    rows = np.arange(1000, dtype=np.float32)[:, None]
    means = [sample_rows(np.split(rows, 37 * np.arange(1, 27)), 100, seed).mean() for seed in range(200)]
    # the mean of 100 of 0..999 without replacement: 499.5, standard deviation 27.4; of 200 such means 1.9
    assert abs(np.mean(means) - 499.5) < 8
    assert 20 < np.std(means) < 35
    kept = sample_rows([rows], 100, 0).ravel()
    assert len(set(kept.tolist())) == 100


def test_a_reservoir_larger_than_the_stream_keeps_all_in_order() -> None:
    rows = np.arange(10, dtype=np.float32)[:, None]
    assert sample_rows([rows[:3], rows[3:]], 50, 0).ravel().tolist() == list(range(10))


def test_constant_dimensions_do_not_divide_by_zero() -> None:
    rows = blobs(300)
    rows[:, 2] = 7.0
    teacher = ResidualKMeans.fit([rows], 1, 4)
    assert np.isfinite(teacher.centroids).all()
    np.testing.assert_allclose(decoded(teacher, teacher.encode(rows))[:, 2], 7.0, atol=1e-4)


def test_errors_say_what_was_found_and_expected(teacher: ResidualKMeans, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found 10 frames, 10 of them distinct, expected 16 or more"):
        ResidualKMeans.fit([blobs(10)], 1, 16)
    with pytest.raises(ValueError, match="found 0 codebooks of 16 codes, expected 1 or more of 2 to 65536"):
        ResidualKMeans.fit([blobs(100)], 0, 16)
    with pytest.raises(ValueError, match="at most 5 frames to cluster, expected 16 or more.*Increase --max-frames"):
        ResidualKMeans.fit([blobs(100)], 1, 16, max_frames=5)
    with pytest.raises(ValueError, match="found 200 frames, 10 of them distinct, expected 16 or more"):
        ResidualKMeans.fit([np.tile(blobs(10), (20, 1))], 1, 16)
    with pytest.raises(ValueError, match="found 100 frames that differ by less than 1e-06.*Fit on other audio"):
        ResidualKMeans.fit([1e-9 * blobs(100)], 1, 16)
    with pytest.raises(ValueError, match="found no row of features"):
        ResidualKMeans.fit([], 1, 16)
    with pytest.raises(ValueError, match="NaN or infinity"):
        ResidualKMeans.fit([np.full((20, 2), np.nan, np.float32)], 1, 2)
    with pytest.raises(ValueError, match=r"frames of shape \(4, 5\), expected \(frames, 8\)"):
        teacher.encode(np.zeros((4, 5), np.float32))
    with pytest.raises(FileNotFoundError, match="no such K-means teacher. Fit one: "):
        ResidualKMeans.load(tmp_path / "none.npz")
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(ValueError, match="cannot be read as a K-means teacher"):
        ResidualKMeans.load(tmp_path / "junk.npz")
    np.savez(
        tmp_path / "other.npz",
        header=np.array("{}"),
        centroids=teacher.centroids,
        mean=teacher.mean,
        scale=teacher.scale,
    )
    with pytest.raises(ValueError, match="expected {.format.*Fit one: "):
        ResidualKMeans.load(tmp_path / "other.npz")


def test_arrays_of_wrong_shapes_are_an_error(teacher: ResidualKMeans, tmp_path: Path) -> None:
    for wrong in (replace(teacher, centroids=teacher.centroids[0]), replace(teacher, mean=teacher.mean[:5])):
        wrong.save(tmp_path / "t.npz")
        with pytest.raises(ValueError, match=r"expected \(codebooks, codes, D\) with codes up to 65536, \(D,\) and"):
            ResidualKMeans.load(tmp_path / "t.npz")


def test_a_pickle_instead_of_a_teacher_is_not_opened(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", header=np.array([{"a": 1}], dtype=object), centroids=0, mean=0, scale=0)
    with pytest.raises(ValueError, match="cannot be read as a K-means teacher"):
        ResidualKMeans.load(tmp_path / "evil.npz")


def test_a_teacher_that_lacks_its_features_cannot_label(teacher: ResidualKMeans, tmp_path: Path) -> None:
    teacher.save(tmp_path / "t.npz")
    with pytest.raises(ValueError, match="found no settings of features, expected"):
        KMeansTeacher.load(tmp_path / "t.npz")


def test_a_teacher_returns_the_codes_of_its_features(tmp_path: Path) -> None:
    features = FrameFeatures("mfcc", 8000, 50)
    wave = 0.1 * np.random.default_rng(0).standard_normal(40_001).astype(np.float32)
    rows = np.concatenate(list(features.stream([wave])))
    quantiser = ResidualKMeans.fit([rows], 2, 8, metadata={"features": features.settings})
    quantiser.save(tmp_path / "t.npz")
    teacher = KMeansTeacher.load(tmp_path / "t.npz")
    assert (teacher.sample_rate, teacher.label_rate_hz, teacher.codebook_sizes) == (8000, 50, [8, 8])
    np.testing.assert_array_equal(np.concatenate(list(teacher.codes([wave[:99], wave[99:]]))), quantiser.encode(rows))
