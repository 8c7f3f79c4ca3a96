"""The picture of a held-out clip's CQT beside its prediction."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numbered_corpus import write_corpus
from PIL import Image
from pretraining_task import make_task
from tiny_mert import tiny_mert

from mert_fairseq.tasks.cqt_picture import clean_cqt, cqt_and_prediction
from mert_fairseq.tasks.pretraining_config import check_picture


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny_mert(mask_prob=0.8, mask_length=5)


@pytest.fixture
def task(tmp_path):
    write_corpus(tmp_path, [48_000, 60_000], "valid")
    task = make_task(tmp_path, picture_interval_updates=100)
    task.load_dataset("valid")
    return task


def sample_of(task):
    dataset = task.dataset("valid")
    return dataset.collater([dataset[0]])


def test_pictures_are_drawn_at_the_first_validation_after_each_interval(task, model, tmp_path):
    folder = tmp_path / "pictures"
    drawn = [task.draw_picture(model, "valid", update, folder) for update in (50, 120, 199, 310)]
    assert drawn == [None, folder / "cqt_0000120.png", None, folder / "cqt_0000310.png"]
    for path in (drawn[1], drawn[3]):
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300


def test_none_is_drawn_unless_asked_for(task, model, tmp_path):
    task.cfg.picture_interval_updates = 0
    assert task.draw_picture(model, "valid", 100, tmp_path) is None


def test_drawing_leaves_the_model_and_torchs_generator_as_they_were(task, model, tmp_path):
    model.train()
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in model.state_dict().items()}
    task.draw_picture(model, "valid", 100, tmp_path)
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_picture_shows_the_target_of_the_loss_and_a_prediction_of_each_frame(task, model, dtype):
    sample = sample_of(task)
    model = model.eval().to(dtype)
    target, prediction = cqt_and_prediction(model, sample)
    frames = model(sample["net_input"]["source"], features_only=True, mask=False)["x"].size(1)
    assert target.shape == prediction.shape == (frames, 84)
    head = model.encoder_cqt_model
    wave = sample["net_input"]["source"].float() / 32768
    np.testing.assert_array_equal(target, head.teacher(wave)[0, :frames].numpy())
    assert np.isfinite(prediction[:-1]).all()


def test_a_prediction_averages_the_masks_that_cover_a_frame():
    """Three frames: the first mask covers the first, the second mask covers two, none covers the last."""

    class Counts:
        calls = 0
        encoder_cqt_model = SimpleNamespace(fc=lambda x: x, target=lambda wave, frames: torch.zeros(1, frames, 1))

        def __call__(self, source, *, mask_indices=None, features_only=False, **_):
            if not features_only:
                self.calls += 1
                return {"mask_indices": torch.tensor([[True, self.calls == 2, False]])}
            return {"x": torch.full((1, 3, 1), float(self.calls))}

    sample = {"net_input": {"source": torch.zeros(1, 9), "clip_seeds": np.zeros(1, int)}, "target_list": None}
    _, prediction = cqt_and_prediction(Counts(), sample)
    np.testing.assert_array_equal(prediction, [[1.5], [2.0], [np.nan]])


def test_float_clips_are_not_scaled_as_if_they_were_16_bit(model):
    wave = torch.rand(1, 24_000) - 0.5
    pcm = (wave * 32768).round().to(torch.int16)
    torch.testing.assert_close(clean_cqt(model, pcm.float() / 32768, 70), clean_cqt(model, pcm, 70))


def test_a_picture_of_what_the_model_does_not_predict_is_refused(task):
    check_picture(task.cfg, SimpleNamespace(audio_cqt_loss_m=True))
    with pytest.raises(ValueError, match=r"picture_interval_updates is 100, but .*no CQT.*audio_cqt_loss_m=true"):
        check_picture(task.cfg, SimpleNamespace(audio_cqt_loss_m=False))


def test_a_negative_interval_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"task\.picture_interval_updates: found -1, expected a number of updates"):
        make_task(tmp_path, picture_interval_updates=-1)
