"""FMA's tracks as feature tokens with genres: data set, batches, and what is wrong with tables."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from fma_tree import build_fma_tree
from fma_tree.taxonomy import ROOTS, SMALL_ROOTS
from torch.utils.data import DataLoader

from mert_fairseq.data.fma_features import (
    CollateFunctionWrapper,
    FMADataset,
    GenreVocabulary,
    Preprocessor,
    TokenLayout,
    labelled_tracks,
)
from mert_fairseq.fma import FMA

SMALL = sorted(ROOTS[root] for root in SMALL_ROOTS)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tables of 200 tracks, read."""
    opened = FMA(build_fma_tree(tmp_path_factory.mktemp("fma"), audio_subset=None, bad=False).metadata_dir)
    opened.check_references()
    return opened


@pytest.fixture
def fma(tables):
    """A copy that a test may spoil."""
    return copy.deepcopy(tables)


def test_the_518_numbers_become_77_tokens_of_their_own_columns(fma):
    training = FMADataset.from_fma(fma, "small", "training")
    assert (len(training.layout.sizes), sum(training.layout.sizes), max(training.layout.sizes)) == (77, 518, 20)
    item = training[3]
    assert item["tokens"].shape == (77, 20)
    row = training.preprocessor.transform(fma.features.loc[[item["id"]]])[0]
    columns = list(fma.features.columns)
    for feature, statistic, size in (("mfcc", "mean", 20), ("chroma_stft", "std", 12), ("zcr", "skew", 1)):
        token = item["tokens"][training.layout.names.index(f"{feature}/{statistic}")]
        expected = [row[columns.index((feature, statistic, f"{n:02d}"))] for n in range(1, size + 1)]
        assert token[:size].tolist() == expected
        assert token[size:].tolist() == [0.0] * (20 - size)


def test_groups_longer_than_a_token_are_cut():
    layout = TokenLayout.of_columns([f"temporal_features/{n:03d}" for n in range(45)] + ["audio_features/energy"])
    assert layout.sizes == (20, 20, 5, 1)
    assert layout.names[2:] == ("temporal_features/2", "audio_features")
    assert layout.expand(np.arange(46.0))[2, :6].tolist() == [40, 41, 42, 43, 44, 0]
    assert TokenLayout.of_components(23).sizes == (20, 3)


def test_items_are_the_splits_tracks_with_genres_both_ways(fma):
    training = FMADataset.from_fma(fma, "small", "training")
    test = FMADataset.from_fma(fma, "small", "test", like=training)
    assert (len(training), len(test)) == (64, 8)
    assert list(training.vocabulary.titles) == SMALL
    assert all(training.index_to_genre(training.genre_to_index(title)) == title for title in SMALL)
    tops = fma.tracks["track", "genre_top"]
    assert all(item["genres"] == [tops[item["id"]]] for item in test)
    assert set(test.ids) == set(fma.select("small", "test").index)


def test_the_preprocessor_is_fitted_on_the_training_split_only(fma):
    training = FMADataset.from_fma(fma, "small", "training")
    expected = Preprocessor().fit(fma.features.loc[training.ids]).transform(fma.features)
    fma.features.loc[fma.select("small", "test").index] *= 1.5
    again = FMADataset.from_fma(fma, "small", "training")
    np.testing.assert_array_equal(again.preprocessor.transform(fma.features.loc[training.ids]), training.arrays()[0])
    assert not np.array_equal(again.preprocessor.transform(fma.features), expected)
    with pytest.raises(ValueError, match="'test' without like=: .* come from the training split only"):
        FMADataset.from_fma(fma, "small", "test")


def test_multi_label_genres_are_roots_or_all_genres_on_the_path(fma):
    roots = labelled_tracks(fma, "large", "training", "roots")
    every = labelled_tracks(fma, "large", "training", "genres_all")
    assert max(map(len, roots.genres)) == 2
    for track, found in zip(*roots, strict=True):
        assert {fma.tree.titles[fma.tree.root(g)] for g in fma.tracks["track", "genres_all"][track]} == set(found)
    titles = {title for genres in every.genres for title in genres}
    assert "Rock > Punk > Hardcore" in titles
    assert "Rock" in titles
    training = FMADataset.from_fma(fma, "large", "training", "roots")
    batch = next(iter(DataLoader(training, batch_size=len(training), collate_fn=training.collater)))
    assert batch["target"].shape == (len(training), 16)
    assert batch["target"].sum(1).tolist() == [len(genres) for genres in roots.genres]


def test_tracks_without_a_top_genre_are_counted_and_left_out(fma, caplog):
    tracks = labelled_tracks(fma, "large", "training")
    without = int(fma.select("large", "training")["track", "genre_top"].isna().sum())
    assert without > 0
    assert len(tracks.ids) == len(fma.select("large", "training")) - without
    assert f"{without} of {len(tracks.ids) + without} tracks of large training have no genre_top" in caplog.text


def item(track, tokens, genres):
    return {"id": track, "tokens": np.full((tokens, 2), float(track), np.float32), "genres": genres}


def test_batches_are_padded_masked_and_encoded():
    collate = CollateFunctionWrapper(GenreVocabulary(["Folk", "Rock"]))
    batch = collate([item(5, 1, ["Rock"]), item(7, 3, ["Folk"])])
    assert batch["id"].tolist() == [5, 7]
    assert batch["target"].tolist() == [1, 0]
    assert batch["target"].dtype == torch.int64
    assert batch["net_input"]["tokens"].tolist() == [[[5, 5], [0, 0], [0, 0]], [[7, 7]] * 3]
    assert batch["net_input"]["padding_mask"].tolist() == [[False, True, True], [False] * 3]
    assert collate([item(1, 2, ["Rock"]), item(2, 2, ["Rock"])])["net_input"]["padding_mask"] is None
    multi_label = CollateFunctionWrapper(collate.vocabulary, multi_label=True)([item(1, 1, ["Rock", "Folk"])])
    assert multi_label["target"].tolist() == [[1.0, 1.0]]
    with pytest.raises(KeyError, match="genre 'Polka' is unknown"):
        collate([item(1, 1, ["Polka"])])


def test_echonest_adds_tokens_to_the_tracks_it_analysed(fma):
    dataset = FMADataset.from_fma(fma, "small", "training", echonest=["audio_features"])
    tracks, table = labelled_tracks(fma, "small", "training"), fma.echonest["echonest"]
    known = [track for track in tracks.ids if track in table.index]
    lengths = [len(entry["tokens"]) for entry in dataset]
    assert lengths == [78 if track in known else 77 for track in tracks.ids]
    assert lengths == [dataset.num_tokens(place) for place in range(len(dataset))]
    assert 0 < len(known) < len(tracks.ids)
    batch = dataset.collater(list(dataset))
    assert batch["net_input"]["padding_mask"][:, :77].sum() == 0
    assert batch["net_input"]["padding_mask"][:, 77].tolist() == [track not in known for track in tracks.ids]
    energy = dataset[tracks.ids.index(known[0])]["tokens"][77, 2]
    column = table["audio_features", "energy"].astype(float)
    expected = (column[known[0]] - column[known].mean()) / column[known].std(ddof=0)
    assert float(energy) == pytest.approx(expected, rel=1e-4)


def test_training_order_follows_from_seed_and_epoch(fma):
    training = FMADataset.from_fma(fma, "small", "training")
    first = training.ordered_indices().tolist()
    assert sorted(first) == list(range(64))
    training.set_epoch(2)
    assert training.ordered_indices().tolist() != first
    training.set_epoch(1)
    assert training.ordered_indices().tolist() == first
    batches = training.batch_by_size(np.arange(64), max_sentences=10, required_batch_size_multiple=8)
    assert [len(batch) for batch in batches] == [10] * 6 + [4]
    with pytest.raises(ValueError, match="dataset.batch_size is not set"):
        training.batch_by_size(np.arange(64))


def test_tables_that_do_not_match_are_errors(fma):
    track = int(fma.select("small", "training").index[4])
    tracks = labelled_tracks(fma, "small", "training")
    preprocessor = Preprocessor().fit(fma.features)
    with pytest.raises(ValueError, match=f"features.csv: 1 of 64 tracks have no features, the first is {track}"):
        FMADataset(tracks, fma.features.drop(index=track), GenreVocabulary.of(SMALL), preprocessor)
    with pytest.raises(KeyError, match="genre 'Rock' is unknown"):
        FMADataset(tracks, fma.features, GenreVocabulary.of([s for s in SMALL if s != "Rock"]), preprocessor)
    fma.features.loc[track] = np.nan
    with pytest.raises(ValueError, match=rf"track {track}: 518 of 518 features are missing \(NaN\)"):
        FMADataset.from_fma(fma, "small", "training")
    fma.tracks["track", "genre_top"] = fma.tracks["track", "genre_top"].astype(object)
    fma.tracks.loc[track, ("track", "genre_top")] = "Polka"
    with pytest.raises(KeyError, match=f"track {track} has the unknown genre 'Polka'; the top genres .* Rock"):
        labelled_tracks(fma, "small", "training")
    fma.tracks.at[track, ("track", "genres_all")] = [12, 999]
    with pytest.raises(KeyError, match=f"track {track} has the unknown genre 999, which genres.csv lacks"):
        labelled_tracks(fma, "small", "training", "roots")
    with pytest.raises(ValueError, match="labels is 'genre', expected one of genre_top, roots, genres_all"):
        labelled_tracks(fma, "small", "training", "genre")
    fma.tracks["track", "genre_top"] = pd.Series(np.nan, index=fma.tracks.index, dtype=object)
    with pytest.raises(ValueError, match="no track of subset small, split test, has genre_top"):
        labelled_tracks(fma, "small", "test")


def test_echonests_numbers_are_scaled_by_the_training_split(fma):
    training = FMADataset.from_fma(fma, "small", "training", echonest=["audio_features"])
    test = FMADataset.from_fma(fma, "small", "test", echonest=["audio_features"], like=training)
    track = next(track for track in test.ids if track in fma.echonest.index)
    energy = fma.echonest["echonest", "audio_features", "energy"].astype(float)
    known = energy[[track for track in training.ids if track in energy.index]]
    expected = (energy[track] - known.mean()) / known.std(ddof=0)
    assert float(test[test.ids.index(track)]["tokens"][77, 2]) == pytest.approx(expected, rel=1e-4)
