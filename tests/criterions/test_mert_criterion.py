"""The criterion: named weights, additive sums, no wait for the device, logs that name a term that is not finite."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.data.dictionary import Dictionary
from fairseq.logging import metrics
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from mert_fairseq.criterions.mert_criterion import MERTCriterion, most_frequent_class
from mert_fairseq.models.mert import MERTModel
from mert_fairseq.models.mert_config import MERTConfig
from mert_fairseq.modules.heads import CodePredictions

CODES = 12


def _dictionary(counts: list[int]) -> Dictionary:
    dictionary = Dictionary()
    for code, count in enumerate(counts):
        dictionary.add_symbol(str(code), count)
    return dictionary


def _task(codebooks: int) -> SimpleNamespace:
    return SimpleNamespace(dictionaries=[_dictionary([1] * (CODES - 1) + [9])] * codebooks)


def _model(codebooks: int = 2, **fields) -> MERTModel:
    torch.manual_seed(0)
    small = {
        "encoder_layers": 1, "encoder_embed_dim": 16, "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2,
        "conv_feature_layers": "[(8,10,5)] + [(8,3,2)] * 4 + [(8,2,2)] * 2", "conv_pos": 8, "conv_pos_groups": 4,
        "final_dim": 8, "mask_length": 3, "skip_nomask": True, "dropout": 0.0, "attention_dropout": 0.0,
    }  # fmt: skip
    return MERTModel(MERTConfig(label_rate=75.0, **small, **fields), 24_000, [CODES + 4] * codebooks)


def _sample(codebooks: int = 2, clips: int = 3) -> dict:
    torch.manual_seed(1)
    source = (torch.randn(clips, 12_000) * 3000).to(torch.int16)
    return {
        "id": torch.arange(clips),
        "target_list": torch.randint(4, CODES + 4, (codebooks, clips, 38)),
        "net_input": {"source": source, "padding_mask": None, "clip_seeds": torch.arange(clips)},
    }


def test_each_weight_scales_its_own_term_no_matter_which_terms_exist():
    sample = _sample()
    for fields in (
        {},
        {"audio_cqt_loss_m": True},
        {"audio_mel_loss_m": True},
        {"audio_cqt_loss_m": True, "audio_mel_loss_m": True},
    ):
        model = _model(**fields).eval()
        terms = {"features_pen_weight": "features_pen", "cqt_weight": "cqt_pred_m", "mel_weight": "mel_pred_m"}
        base, size, _ = MERTCriterion(_task(2))(model, sample)
        output = model(target_list=sample["target_list"], **sample["net_input"])
        for weight, term in terms.items():
            heavier = {"features_pen_weight": 10.0, "cqt_weight": 1.0, "mel_weight": 1.0}
            heavier[weight] += 2.0
            loss, _, log = MERTCriterion(_task(2), **heavier)(model, sample)
            added = 2.0 * size * output[term] if term in output else 0.0
            assert float(loss - base) == pytest.approx(float(added), rel=1e-3, abs=1e-3)
            assert (f"loss_{term}" in log) == (term in output)


def test_loss_is_the_sum_that_the_paper_states():
    model, sample = _model(audio_cqt_loss_m=True).eval(), _sample()
    loss, size, _ = MERTCriterion(_task(2))(model, sample)
    output = model(target_list=sample["target_list"], **sample["net_input"])
    codes = sum(torch.nn.functional.cross_entropy(p.logits, p.targets, reduction="sum") for p in output["masked"])
    assert size == int(output["mask_indices"].sum())
    torch.testing.assert_close(loss, codes + size * (10 * output["features_pen"] + output["cqt_pred_m"]))


def test_logged_sums_of_two_batches_add_up_to_the_log_of_both():
    criterion, model = MERTCriterion(_task(2)), _model(audio_cqt_loss_m=True).eval()
    assert MERTCriterion.logging_outputs_can_be_summed()
    logs = [criterion(model, _sample(clips=clips))[2] for clips in (2, 3)]
    summed = {name: logs[0][name] + logs[1][name] for name in logs[0]}
    seen = []
    for outputs in (logs, [summed]):
        with metrics.aggregate(new_root=True) as meters:
            MERTCriterion.reduce_metrics(outputs)
        seen.append(meters.get_smoothed_values())
    assert seen[0] == pytest.approx(seen[1])
    size = sum(int(log["sample_size"]) for log in logs)
    bits = sum(float(log["loss_m_1"]) for log in logs) / size / math.log(2)
    assert seen[0]["loss_m_1"] == pytest.approx(bits, abs=1e-3)
    accuracy = sum(int(log["correct_m_0"]) for log in logs) / size
    baseline = sum(int(log["baseline_m_0"]) for log in logs) / size
    assert seen[0]["accuracy_m_0"] == pytest.approx(accuracy, abs=1e-4)
    assert seen[0]["over_baseline_m_0"] == pytest.approx(accuracy - baseline, abs=1e-4)
    assert 0.3 < seen[0]["masked_share"] < 0.9
    assert {"cqt_pred_m", "features_pen", "loss"} <= seen[0].keys()


def test_every_batch_logs_the_same_names_in_the_same_order_with_the_same_types():
    """fairseq adds the logs of ranks and micro-batches by position, tensors and numbers in two buffers."""
    model, criterion = _model(3, random_codebook=1, audio_cqt_loss_m=True), MERTCriterion(_task(3))
    padding = torch.arange(12_000).expand(3, -1) >= torch.tensor([[12_000], [9_000], [12_000]])
    samples = [_sample(3), {**_sample(3), "net_input": {**_sample(3)["net_input"], "padding_mask": padding}}]
    logs = []
    for _ in range(4):
        for sample in samples:
            logs.append(criterion(model.train(), sample)[2])
    counts = [[log[f"count_m_{q}"] for q in range(3)] for log in logs]
    assert len({tuple(map(bool, count)) for count in counts}) > 1, "other codebooks were drawn"
    assert {sum(map(bool, count)) for count in counts} == {1}
    kinds = [[(name, torch.is_tensor(value)) for name, value in log.items()] for log in logs]
    assert all(kind == kinds[0] for kind in kinds)
    assert [name for name, _ in kinds[0] if name.startswith("loss_m")] == ["loss_m_0", "loss_m_1", "loss_m_2"]
    assert [int(log["frames"]) for log in logs[:2]] == [3 * 37, 2 * 37 + 28]


class _Waits(TorchDispatchMode):
    """Records operations whose result the CPU has to read: nonzero and scalars."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        by_mask = func.__name__.startswith("index.") and any(i is not None and i.dtype == torch.bool for i in args[1])
        if by_mask or func.__name__.startswith(("nonzero", "_local_scalar_dense", "masked_select", "equal")):
            self.seen.append(func.__name__)
        return func(*args, **kwargs or {})


def test_an_unpadded_training_step_never_waits_for_the_device():
    model = _model(8, audio_cqt_loss_m=True, audio_mel_loss_m=True, mixture_prob=0.5, encoder_layerdrop=0.0)
    sample = _sample(8)
    sample["net_input"]["clip_seeds"] = np.arange(3)  # as the collater sends them
    with _Waits() as waits:
        MERTCriterion(_task(8))(model.train(), sample)
    assert waits.seen == []


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("several_sizes", [False, True])
@pytest.mark.parametrize("drawn", [[0, 1, 2], [2, 2]])
def test_control_flow_and_shapes_of_the_criterion_do_not_depend_on_values(padded, several_sizes, drawn):
    """Fake tensors have shapes but no values, so a shape or a branch that depends on a value raises an error."""
    criterion = MERTCriterion(_task(3))
    with FakeTensorMode(allow_non_fake_inputs=True):
        targets = torch.randint(4, CODES + 4, (3, 50))
        logits = torch.randn(len(drawn), 50, CODES + 4, requires_grad=True)
        predictions = CodePredictions(drawn, logits.split(1 if several_sizes else 3), targets[drawn])
        output = {
            "masked": predictions, "unmasked": predictions, "masked_frames": 50, "features_pen": torch.ones(()),
            "cqt_pred_m": torch.ones(()), "mask_indices": torch.zeros(3, 37, dtype=torch.bool),
            "padding_mask": torch.zeros(3, 37, dtype=torch.bool) if padded else None,
        }  # fmt: skip
        sample = {"id": torch.arange(3), "target_list": targets, "net_input": {}}
        loss, size, log = criterion(lambda target_list: output, sample)
        loss.backward()
    assert size == 50
    on_device = [value for value in log.values() if torch.is_tensor(value)]
    assert len(on_device) == 2 + 2 * 2 + 2 * 3 * 3
    assert len({value.untyped_storage()._cdata for value in on_device}) == 1, "one vector, read at once"


@pytest.mark.parametrize(("break_it", "term"), [
    (lambda model: torch.nn.init.constant_(model.encoder_cqt_model.fc.bias, float("nan")), "loss_cqt_pred_m"),
    (lambda model: torch.nn.init.constant_(model.label_embs_concat[CODES + 4 :], float("nan")), "loss_m_1"),
])  # fmt: skip
def test_a_loss_that_is_not_finite_is_returned_and_its_log_names_the_term(break_it, term):
    model = _model(audio_cqt_loss_m=True)
    with torch.no_grad():
        break_it(model)
    loss, _, log = MERTCriterion(_task(2))(model, _sample())
    assert math.isnan(loss)
    bad = {name for name, value in log.items() if name.startswith("loss_") and not math.isfinite(value)}
    assert bad == {term}


def test_a_codebook_whose_dictionary_has_no_counts_has_no_baseline():
    task = SimpleNamespace(dictionaries=[_dictionary([1] * CODES), _dictionary([1] * (CODES - 1) + [9])])
    _, _, log = MERTCriterion(task)(_model(), _sample())
    assert "baseline_m_0" not in log
    assert "baseline_m_1" in log


def test_no_weight_above_0_is_an_error():
    with pytest.raises(ValueError, match="found no loss term"):
        MERTCriterion(_task(2), pred_masked_weight=0.0, features_pen_weight=0.0)(_model(), _sample())


def test_a_batch_without_masked_frames_is_an_error():
    with pytest.raises(ValueError, match=r"no frame to predict in 3 clips of 37 frames, .*model\.mask_prob above 0"):
        MERTCriterion(_task(2))(_model(audio_cqt_loss_m=True, mask_prob=0.0), _sample())


def test_unmasked_frames_can_be_trained_alone_together_with_an_empty_cqt_term():
    model = _model(audio_cqt_loss_m=True, mask_prob=0.0)
    model.skip_nomask = False
    loss, size, log = MERTCriterion(_task(2), pred_nomask_weight=1.0)(model, _sample())
    loss.backward()
    assert size == 3 * 37
    assert log["mean_cqt_pred_m"] == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_cqt_can_be_trained_alone():
    criterion = MERTCriterion(_task(2), pred_masked_weight=0.0, features_pen_weight=0.0, cqt_weight=1.0)
    model, sample = _model(audio_cqt_loss_m=True).eval(), _sample()
    loss, size, _ = criterion(model, sample)
    output = model(target_list=sample["target_list"], **sample["net_input"])
    torch.testing.assert_close(loss, size * output["cqt_pred_m"])
    assert size == int(output["mask_indices"].sum())


def test_most_frequent_code_comes_from_the_dictionarys_counts():
    assert most_frequent_class(_dictionary([3, 9, 4])) == 4 + 1
    assert most_frequent_class(_dictionary([1, 1, 1])) is None


def test_half_precision_training_keeps_the_cqt_target_in_float32():
    model, sample = _model(audio_cqt_loss_m=True, attention_relax=32.0), _sample()
    wave = sample["net_input"]["source"].float() / 32768
    expected = model.encoder_cqt_model.target(wave, 37)
    seen = []
    target = model.encoder_cqt_model.target
    model.encoder_cqt_model.target = lambda *args: seen.append(target(*args)) or seen[-1]
    loss, _, _ = MERTCriterion(_task(2))(model.half().train(), sample)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert seen[0].dtype == torch.float32
    torch.testing.assert_close(seen[0], expected)


def test_a_frame_is_correct_if_its_target_has_the_largest_logit_and_not_if_all_logits_are_equal():
    """By hand: targets 1, 2 and 3; the first is the largest, the second is not, and the third is one of equals."""
    logits = torch.tensor([[0.0, 2.0, 1.0, -1.0], [0.0, 2.0, 1.0, -1.0], [0.5, 0.5, 0.5, 0.5]])
    predictions = CodePredictions([0], [logits[None]], torch.tensor([[1, 2, 3]]))
    sums = MERTCriterion(_task(1))._code_sums(predictions, 1)[1]
    assert sums["correct"].tolist() == [1]
    assert (logits.argmax(-1) == torch.tensor([1, 2, 3])).tolist() == [True, False, False]


def test_codebooks_of_several_sizes_have_the_losses_of_torchs_cross_entropy():
    torch.manual_seed(0)
    logits, targets = [torch.randn(1, 20, classes) for classes in (5, 9)], torch.randint(0, 5, (2, 20))
    sums = MERTCriterion(_task(2))._code_sums(CodePredictions([0, 1], logits, targets), 2)[1]
    for q in range(2):
        expected = torch.nn.functional.cross_entropy(logits[q][0], targets[q], reduction="sum")
        torch.testing.assert_close(sums["loss"][q], expected)
        assert sums["correct"][q] == (logits[q][0].argmax(-1) == targets[q]).sum()
