"""Masks: fairseq's law, per-clip randomness, fillings and schedules."""

import numpy as np
import pytest
import torch
from fairseq.data.data_utils import compute_mask_indices

from mert_fairseq.modules import clip_rng
from mert_fairseq.modules.masking import Filling, SpanLaw, fill, span_mask, span_masks, staged

SEEDS = np.arange(10, 14, dtype=np.uint64)


@pytest.mark.parametrize(("prob", "length", "size"), [(0.8, 5, 374), (0.65, 10, 250), (0.8, 5, 40)])
def test_static_spans_equal_fairseqs_for_the_same_generator(prob, length, size, monkeypatch):
    expected = compute_mask_indices(
        (1, size), None, prob, length, min_masks=2, seed=7, epoch=3, indices=torch.tensor([11])
    )
    rng = np.random.default_rng(int(hash((7, 3, 11)) % 1e6))
    mask = span_mask(size, SpanLaw(prob, length, min_masks=2), rng)
    np.testing.assert_array_equal(mask, expected[0])


@pytest.mark.parametrize("law", [
    SpanLaw(0.8, 5, min_masks=2), SpanLaw(0.5, 5, "normal", 2.0), SpanLaw(0.5, 5, "poisson"),
])  # fmt: skip
def test_mean_share_equals_fairseqs(law):
    size, clips = 374, 400
    theirs = compute_mask_indices(
        (clips, size), None, law.prob, law.length, law.selection, law.other, law.min_masks, require_same_masks=False
    )
    ours = span_masks(np.full(clips, size), size, law, np.arange(clips, dtype=np.uint64))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.01)


def test_uniform_lengths_lie_between_other_and_twice_the_length():
    law = SpanLaw(0.02, 10, "uniform", 4, no_overlap=True, min_space=30)
    runs = _runs(span_masks(np.full(300, 200), 200, law, np.arange(300, dtype=np.uint64)))
    assert min(runs) >= 4
    assert max(runs) <= 20
    assert np.mean(runs) == pytest.approx(12, abs=1.5)


def _runs(masks: np.ndarray) -> list[int]:
    edges = np.diff(np.pad(masks, ((0, 0), (1, 1))).astype(int), axis=1)
    return list(np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1])


@pytest.mark.parametrize("min_space", [1, 3])
def test_spans_kept_apart_all_have_full_length_and_space_between(min_space):
    law = SpanLaw(0.5, 5, no_overlap=True, min_space=min_space)
    masks = span_masks(np.full(50, 100), 100, law, np.arange(50, dtype=np.uint64))
    assert set(_runs(masks)) == {5}
    inner_gaps = [gap for row in masks for gap in _runs(~row[None, row.argmax() : len(row) - row[::-1].argmax()])]
    assert min(inner_gaps) >= min_space
    assert masks.sum(1).tolist() == [50] * 50


def test_a_clips_mask_depends_on_its_own_seed_alone():
    law = SpanLaw(0.8, 5, min_masks=2)
    together = span_masks(np.full(4, 100), 100, law, SEEDS)
    alone = span_masks(np.full(1, 100), 100, law, SEEDS[2:3])
    np.testing.assert_array_equal(together[2], alone[0])
    assert len({row.tobytes() for row in together}) == 4


def test_padding_is_never_masked_and_the_real_part_as_if_alone():
    law = SpanLaw(0.8, 5, min_masks=2)
    padded = span_masks(np.array([60, 100]), 100, law, SEEDS[:2])
    assert not padded[0, 60:].any()
    np.testing.assert_array_equal(padded[0, :60], span_masks(np.array([60]), 60, law, SEEDS[:1])[0])


@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
def test_clips_shorter_than_their_spans_are_masked_without_error(size):
    mask = span_mask(size, SpanLaw(0.8, 5, min_masks=2), np.random.default_rng(0))
    assert mask.shape == (size,)
    assert mask.any()


def test_probability_zero_masks_nothing():
    assert not span_mask(100, SpanLaw(0.0, 5, min_masks=2), np.random.default_rng(0)).any()


@pytest.mark.parametrize(("law", "message"), [
    ({"prob": 1.5, "length": 5}, "mask_prob 1.5"), ({"prob": 0.5, "length": 0}, "mask_length 0"),
    ({"prob": 0.5, "length": 5, "selection": "gauss"}, "mask_selection is 'gauss'"),
])  # fmt: skip
def test_laws_that_cannot_be_drawn_are_refused(law, message):
    with pytest.raises(ValueError, match=message):
        SpanLaw(**law)


EMBEDDING = torch.nn.Parameter(torch.full((3,), -1.0))


def _filled(filling: Filling) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Frames that hold their own number, the mask, and what was filled in."""
    x = torch.arange(4 * 500.0).view(4, 500, 1).expand(4, 500, 3).contiguous()
    mask = torch.zeros(4, 500, dtype=torch.bool)
    mask[:, 100:400] = True
    return x, mask, fill(x, mask, EMBEDDING, filling, SEEDS)


def test_masked_frames_take_the_embedding_and_others_stay():
    x, mask, filled = _filled(Filling())
    assert (filled[mask] == -1).all()
    torch.testing.assert_close(filled[~mask], x[~mask])


@pytest.mark.parametrize("scope", ["in_sample", "in_batch"])
def test_origin_and_replace_take_their_shares(scope):
    x, mask, filled = _filled(Filling(origin=0.2, replace=0.3, scope=scope))
    torch.testing.assert_close(filled[~mask], x[~mask])
    value, own = filled[..., 0][mask], x[..., 0][mask]
    kept, embedded = (value == own).float().mean(), (value == -1).float().mean()
    assert kept == pytest.approx(0.2, abs=0.04)
    assert embedded == pytest.approx(0.5, abs=0.04)
    same_clip = (value // 500 == own // 500)[(value != own) & (value != -1)].float().mean()
    assert same_clip == (1.0 if scope == "in_sample" else pytest.approx(0.25, abs=0.08))


def test_fillings_that_exceed_one_draw_are_refused():
    with pytest.raises(ValueError, match="mask_origin 0.6 \\+ mask_replace 0.6"):
        Filling(origin=0.6, replace=0.6)
    with pytest.raises(ValueError, match="mask_replace_type is 'anywhere'"):
        Filling(scope="anywhere")


def test_stages_begin_at_their_update():
    schedule = staged([0.5, 0.65, 0.8], [100, 200], default=0.1, name="mask_dynamic_prob")
    assert [schedule(u) for u in (0, 99, 100, 199, 200, 10**6)] == [0.5, 0.5, 0.65, 0.65, 0.8, 0.8]
    assert staged([], [], default=0.1, name="mask_dynamic_prob")(5) == 0.1


@pytest.mark.parametrize(("values", "steps"), [([0.5, 0.8], []), ([0.5, 0.6, 0.8], [200, 100]), ([], [100])])
def test_stages_that_do_not_fit_are_refused(values, steps):
    with pytest.raises(ValueError, match="mask_dynamic_prob .* one fewer than the values"):
        staged(values, steps, default=0.1, name="mask_dynamic_prob")


def test_uniform_draws_fill_the_unit_interval_and_belong_to_the_clip():
    drawn = clip_rng.uniforms(np.arange(1000, dtype=np.uint64), clip_rng.MIXTURE, 20)
    histogram, _ = np.histogram(drawn, bins=10, range=(0, 1))
    assert histogram.sum() == drawn.size
    np.testing.assert_allclose(histogram / drawn.size, 0.1, atol=0.01)
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(
        clip_rng.uniforms(np.array([17], dtype=np.uint64), clip_rng.MIXTURE, 20)[0], drawn[17]
    )
    assert (clip_rng.uniforms(SEEDS, clip_rng.MASK_KIND, 5) != clip_rng.uniforms(SEEDS, clip_rng.MIXTURE, 5)).all()
