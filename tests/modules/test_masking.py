"""Masks: fairseq's distribution, one seed per clip, replacement of masked frames, and schedules."""

import numpy as np
import pytest
import torch
from fairseq.data.data_utils import compute_mask_indices

from mert_fairseq.modules import clip_rng
from mert_fairseq.modules.masking import (
    MaskReplacement,
    SpanMaskConfig,
    replace_masked,
    span_mask,
    span_masks,
    step_schedule,
)

SEEDS = np.arange(10, 14, dtype=np.uint64)


@pytest.mark.parametrize(("prob", "length", "size"), [(0.8, 5, 374), (0.65, 10, 250), (0.8, 5, 40)])
def test_static_spans_equal_fairseqs_for_the_same_generator(prob, length, size, monkeypatch):
    expected = compute_mask_indices(
        (1, size), None, prob, length, min_masks=2, seed=7, epoch=3, indices=torch.tensor([11])
    )
    rng = np.random.default_rng(int(hash((7, 3, 11)) % 1e6))
    mask = span_mask(size, SpanMaskConfig(prob, length, min_masks=2), rng)
    np.testing.assert_array_equal(mask, expected[0])


@pytest.mark.parametrize("spans", [
    SpanMaskConfig(0.8, 5, min_masks=2), SpanMaskConfig(0.5, 5, "normal", 2.0), SpanMaskConfig(0.5, 5, "poisson"),
])  # fmt: skip
def test_mean_share_equals_fairseqs(spans):
    size, clips = 374, 400
    theirs = compute_mask_indices(
        (clips, size),
        None,
        spans.prob,
        spans.length,
        spans.selection,
        spans.other,
        spans.min_masks,
        require_same_masks=False,
    )
    ours = span_masks(np.full(clips, size), size, spans, np.arange(clips, dtype=np.uint64))
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.01)


def test_uniform_lengths_lie_between_other_and_twice_the_length():
    spans = SpanMaskConfig(0.02, 10, "uniform", 4, no_overlap=True, min_space=30)
    runs = _runs(span_masks(np.full(300, 200), 200, spans, np.arange(300, dtype=np.uint64)))
    assert min(runs) >= 4
    assert max(runs) <= 20
    assert np.mean(runs) == pytest.approx(12, abs=1.5)


def _runs(masks: np.ndarray) -> list[int]:
    edges = np.diff(np.pad(masks, ((0, 0), (1, 1))).astype(int), axis=1)
    return list(np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1])


@pytest.mark.parametrize("min_space", [1, 3])
def test_spans_without_overlap_have_full_length_and_the_minimum_space(min_space):
    spans = SpanMaskConfig(0.5, 5, no_overlap=True, min_space=min_space)
    masks = span_masks(np.full(50, 100), 100, spans, np.arange(50, dtype=np.uint64))
    assert set(_runs(masks)) == {5}
    inner_gaps = [gap for row in masks for gap in _runs(~row[None, row.argmax() : len(row) - row[::-1].argmax()])]
    assert min(inner_gaps) >= min_space
    assert masks.sum(1).tolist() == [50] * 50


def test_a_clips_mask_depends_on_its_own_seed_only():
    spans = SpanMaskConfig(0.8, 5, min_masks=2)
    together = span_masks(np.full(4, 100), 100, spans, SEEDS)
    alone = span_masks(np.full(1, 100), 100, spans, SEEDS[2:3])
    np.testing.assert_array_equal(together[2], alone[0])
    assert len({row.tobytes() for row in together}) == 4


def test_padding_is_never_masked_and_does_not_change_the_mask_of_the_clip():
    spans = SpanMaskConfig(0.8, 5, min_masks=2)
    padded = span_masks(np.array([60, 100]), 100, spans, SEEDS[:2])
    assert not padded[0, 60:].any()
    np.testing.assert_array_equal(padded[0, :60], span_masks(np.array([60]), 60, spans, SEEDS[:1])[0])


@pytest.mark.parametrize("size", [1, 2, 3, 6, 9])
def test_clips_shorter_than_their_spans_are_masked_without_error(size):
    mask = span_mask(size, SpanMaskConfig(0.8, 5, min_masks=2), np.random.default_rng(0))
    assert mask.shape == (size,)
    assert mask.any()


def test_probability_zero_masks_nothing():
    assert not span_mask(100, SpanMaskConfig(0.0, 5, min_masks=2), np.random.default_rng(0)).any()


@pytest.mark.parametrize(("spans", "message"), [
    ({"prob": 1.5, "length": 5}, "mask_prob 1.5"), ({"prob": 0.5, "length": 0}, "mask_length 0"),
    ({"prob": 0.5, "length": 5, "selection": "gauss"}, "mask_selection is 'gauss'"),
])  # fmt: skip
def test_invalid_span_masks_are_errors(spans, message):
    with pytest.raises(ValueError, match=message):
        SpanMaskConfig(**spans)


EMBEDDING = torch.nn.Parameter(torch.full((3,), -1.0))


def _replace(replacement: MaskReplacement) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Frames whose values are their own number, the mask, and the frames after replacement."""
    x = torch.arange(4 * 500.0).view(4, 500, 1).expand(4, 500, 3).contiguous()
    mask = torch.zeros(4, 500, dtype=torch.bool)
    mask[:, 100:400] = True
    return x, mask, replace_masked(x, mask, EMBEDDING, replacement, SEEDS)


def test_masked_frames_become_the_embedding_and_others_do_not_change():
    x, mask, replaced = _replace(MaskReplacement())
    assert (replaced[mask] == -1).all()
    torch.testing.assert_close(replaced[~mask], x[~mask])


@pytest.mark.parametrize("scope", ["in_sample", "in_batch"])
def test_kept_and_other_features_have_their_shares(scope):
    x, mask, replaced = _replace(MaskReplacement(keep_prob=0.2, other_prob=0.3, scope=scope))
    torch.testing.assert_close(replaced[~mask], x[~mask])
    value, own = replaced[..., 0][mask], x[..., 0][mask]
    kept, embedded = (value == own).float().mean(), (value == -1).float().mean()
    assert kept == pytest.approx(0.2, abs=0.04)
    assert embedded == pytest.approx(0.5, abs=0.04)
    same_clip = (value // 500 == own // 500)[(value != own) & (value != -1)].float().mean()
    assert same_clip == (1.0 if scope == "in_sample" else pytest.approx(0.25, abs=0.08))


def test_invalid_replacements_are_errors():
    with pytest.raises(ValueError, match="mask_origin is 0.6 and mask_replace 0.6"):
        MaskReplacement(keep_prob=0.6, other_prob=0.6)
    with pytest.raises(ValueError, match="mask_replace_type is 'anywhere'"):
        MaskReplacement(scope="anywhere")


def test_schedule_values_begin_at_their_update():
    schedule = step_schedule([0.5, 0.65, 0.8], [100, 200], default=0.1, name="mask_dynamic_prob")
    assert [schedule(u) for u in (0, 99, 100, 199, 200, 10**6)] == [0.5, 0.5, 0.65, 0.65, 0.8, 0.8]
    assert step_schedule([], [], default=0.1, name="mask_dynamic_prob")(5) == 0.1


@pytest.mark.parametrize(("values", "steps"), [([0.5, 0.8], []), ([0.5, 0.6, 0.8], [200, 100]), ([], [100])])
def test_schedules_with_the_wrong_number_or_order_of_steps_are_errors(values, steps):
    with pytest.raises(ValueError, match="mask_dynamic_prob .* one fewer than the values"):
        step_schedule(values, steps, default=0.1, name="mask_dynamic_prob")


def test_uniform_numbers_cover_the_unit_interval_and_depend_on_the_clip():
    u = clip_rng.uniforms(np.arange(1000, dtype=np.uint64), clip_rng.MIXTURE, 20)
    histogram, _ = np.histogram(u, bins=10, range=(0, 1))
    assert histogram.sum() == u.size
    np.testing.assert_allclose(histogram / u.size, 0.1, atol=0.01)
    assert abs(np.corrcoef(u[:-1].ravel(), u[1:].ravel())[0, 1]) < 0.03
    np.testing.assert_array_equal(clip_rng.uniforms(np.array([17], dtype=np.uint64), clip_rng.MIXTURE, 20)[0], u[17])
    assert (
        clip_rng.uniforms(SEEDS, clip_rng.MASK_REPLACEMENT, 5) != clip_rng.uniforms(SEEDS, clip_rng.MIXTURE, 5)
    ).all()
