"""Windows of long audio: hand-worked places, and that blocks do not matter."""

import numpy as np
import pytest

from mert_fairseq.extraction.windows import Windowing

# frame i sees samples 10 i to 10 i + 14; windows of 6 frames (65 samples) keep 4, or 5 at the ends of a file
SMALL = Windowing(hop_samples=10, receptive_samples=15, window_frames=6, context_frames=1)


def places(samples: int, windowing: Windowing = SMALL) -> list[tuple[int, int, int, int, int, bool]]:
    """First and last sample, skipped frames, first and last kept frame, and whether it is the last, of each window."""
    wave = np.arange(samples, dtype=np.float32)
    return [
        (int(w.wave[0]), int(w.wave[-1]), w.skipped, w.first, w.first + w.frames - 1, w.is_last)
        for w in windowing.cut([wave])
    ]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (14, []),
        (15, [(0, 14, 0, 0, 0, True)]),
        (65, [(0, 64, 0, 0, 5, True)]),
        (74, [(0, 73, 0, 0, 5, True)]),  # six frames and nine samples: whole
        (75, [(0, 64, 0, 0, 4, False), (10, 74, 4, 5, 6, True)]),
        (105, [(0, 64, 0, 0, 4, False), (40, 104, 1, 5, 9, True)]),
        (115, [(0, 64, 0, 0, 4, False), (40, 104, 1, 5, 8, False), (50, 114, 4, 9, 10, True)]),
        (129, [(0, 64, 0, 0, 4, False), (40, 104, 1, 5, 8, False), (60, 124, 3, 9, 11, True)]),
    ],
)
def test_windows_lie_where_they_were_worked_out_by_hand(samples, expected):
    assert places(samples) == expected


@pytest.mark.parametrize("context", [0, 1, 2])
def test_kept_frames_follow_one_another_and_have_context_on_both_sides(context):
    windowing = Windowing(10, 15, 6, context)
    for samples in range(15, 400):
        frames = windowing.num_frames(samples)
        found = places(samples, windowing)
        kept = [frame for _, _, _, first, last, _ in found for frame in range(first, last + 1)]
        assert kept == list(range(frames))
        assert [is_last for *_, is_last in found] == [False] * (len(found) - 1) + [True]
        for begin, end, skipped, first, last, _ in found:
            assert begin + 10 * skipped == 10 * first
            assert skipped >= context or first == skipped == 0
            assert (end - begin - 14) // 10 - (last - first) - skipped >= context or last == frames - 1


def test_windows_do_not_depend_on_the_blocks_they_come_in():
    wave = np.random.default_rng(0).standard_normal(333).astype(np.float32)
    expected = list(SMALL.cut([wave]))
    for size in (1, 7, 64, 65, 66, 200):
        found = list(SMALL.cut(np.split(wave, range(size, 333, size))))
        assert [w[1:] for w in found] == [w[1:] for w in expected]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.wave, other.wave)


def test_few_samples_are_held_at_a_time():
    held = 0

    def blocks():
        for _ in range(1000):
            yield np.zeros(100, dtype=np.float32)

    for window in SMALL.cut(blocks()):
        held = max(held, len(window.wave if window.wave.base is None else window.wave.base))
    assert held < 4 * SMALL.window_samples


def test_a_context_that_fills_the_window_is_refused():
    with pytest.raises(ValueError, match="the window has 6 frames and 3 of context at each side, expected a window"):
        Windowing(10, 15, 6, 3)
