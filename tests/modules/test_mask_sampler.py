"""Masks sampled in the data-loader workers equal those that the model samples."""

import numpy as np
import pytest
import torch
from numbered_corpus import write_corpus
from omegaconf import OmegaConf
from pretraining_task import make_task
from tiny_mert import TINY, tiny_mert

from mert_fairseq.frames import ConvLayer
from mert_fairseq.modules.mask_sampler import MaskSampler
from mert_fairseq.modules.masking import SpanMaskConfig

LENGTHS = np.array([14_400, 9_001, 5_120])
SEEDS = np.array([3, 11, 2**62 - 1])


def _forward(model, lengths, labels, **masks):
    samples = int(lengths.max())
    torch.manual_seed(2)
    source = (torch.randn(len(lengths), samples) * 3000).to(torch.int16)
    padding = torch.arange(samples) >= torch.from_numpy(lengths)[:, None]
    targets = torch.randint(4, 20, (2, len(lengths), labels))
    mask = padding if padding.any() else None
    return model(source, targets, mask, clip_seeds=SEEDS, lengths=lengths, **masks)


@pytest.mark.parametrize(("lengths", "labels"), [(np.full(3, 14_400), 45), (np.full(3, 14_400), 38), (LENGTHS, 45)])
@pytest.mark.parametrize("options", [
    {}, {"exact_padding": True}, {"mask_selection": "poisson", "mask_prob": 0.4}, {"label_rate": 37.5},
    {"mask_dynamic_prob": "[0.4]"}, {"mask_channel_prob": 0.3, "mask_replace": 0.2},
])  # fmt: skip
def test_the_sampler_draws_the_masks_and_the_loss_of_the_model(lengths, labels, options):
    model = tiny_mert(dropout=0.0, encoder_layerdrop=0.0, mixture_prob=0.5, **options).eval()
    labels = labels // 2 if "label_rate" in options else labels
    drawn = _forward(model, lengths, labels)
    mask, positions = model.mask_sampler(SEEDS, lengths, labels)
    assert np.array_equal(mask, drawn["mask_indices"].numpy())
    given = _forward(model, lengths, labels, mask_indices=torch.from_numpy(mask),
                     mask_positions=torch.from_numpy(positions))  # fmt: skip
    assert given["masked_frames"] == drawn["masked_frames"] == mask.sum()
    for ours, theirs in zip(given["masked"], drawn["masked"], strict=True):
        assert torch.equal(ours.logits, theirs.logits)
        assert torch.equal(ours.targets, theirs.targets)


def test_the_model_reads_the_positions_that_it_is_given():
    """One frame of the first clip and one of the second, of 44 frames each: positions 5 and 44 + 7."""
    model = tiny_mert().eval()
    mask = torch.zeros(3, 44, dtype=torch.bool)
    mask[0, 5] = mask[1, 7] = True
    output = _forward(model, np.full(3, 14_400), 45, mask_indices=mask, mask_positions=torch.tensor([5, 51]))
    torch.manual_seed(2)
    torch.randn(3, 14_400)
    targets = torch.randint(4, 20, (2, 3, 45))
    assert [p.targets.tolist() for p in output["masked"]] == targets[:, [0, 1], [5, 7]].tolist()


@pytest.mark.parametrize("option", ["mask_dynamic_prob", "mask_dynamic_len"])
def test_a_schedule_leaves_the_masks_to_the_model(option):
    values = "[0.5, 0.8]" if option == "mask_dynamic_prob" else "[2, 4]"
    assert tiny_mert(**{option: values, f"{option}_step": "[50]"}).mask_sampler is None


def test_a_clip_without_a_frame_gets_no_mask_so_that_the_model_reports_it():
    sampler = MaskSampler(SpanMaskConfig(0.8, 5), (ConvLayer(8, 400, 320),))
    mask, positions = sampler(np.arange(2), np.array([399, 320]), labels=2)
    assert mask.shape == (2, 0)
    assert positions.shape == (0,)


# The task


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), [60_000, 48_000, 48_000])


def _model_options(**options):
    return OmegaConf.create({**TINY, **options})


def _batch(task):
    task.load_dataset("train")
    dataset = task.dataset("train")
    return dataset.collater([dataset[0], dataset[1]])["net_input"]


def test_the_task_hands_the_models_sampler_to_its_data_sets(folder):
    task = make_task(folder)
    model = task.build_model(_model_options())
    net_input = _batch(task)
    mask, positions = model.mask_sampler(net_input["clip_seeds"], net_input["lengths"], 150)
    assert torch.equal(net_input["mask_indices"], torch.from_numpy(mask))
    assert torch.equal(net_input["mask_positions"], torch.from_numpy(positions))
    assert mask.shape == (2, 149)  # 2 s: 150 labels, 149 conv frames


@pytest.mark.parametrize("case", ["no model", "a checkpoint's model", "a schedule"])
def test_otherwise_batches_contain_no_masks(folder, case):
    task = make_task(folder)
    if case == "a schedule":
        task.build_model(_model_options(mask_dynamic_len="[2, 4]", mask_dynamic_len_step="[50]"))
    elif case == "a checkpoint's model":
        task.build_model(_model_options(), from_checkpoint=True)
    assert {"mask_indices", "mask_positions"}.isdisjoint(_batch(task))
