"""Preprocessing of features: transforms, imputation, scaling and PCA, fitted on the training split only."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from mert_fairseq.archives import load_npz, save_npz

IMPUTES = ("median", "mean", "none")
_ARRAYS = ("fill", "mean", "scale", "pca_mean", "pca_axes")  # float64; see _fit_arrays

Transform = Callable[[np.ndarray], np.ndarray]


def _signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def _signed_root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


_TRANSFORMS: dict[str, Transform] = {"signed_log": _signed_log, "signed_root": _signed_root}


def register_transform(name: str, function: Transform) -> None:
    """Register an elementwise function as a transform for preprocessors. It must keep NaN.

        register_transform("cube_root", np.cbrt)

    Args:
        name: used in files and options, so that files need not contain code.
        function: maps (N, C) float64 to (N, C).

    Raises:
        ValueError: if another function has this name.
    """
    if _TRANSFORMS.setdefault(name, function) is not function:
        raise ValueError(f"transform {name!r} is already registered; choose another name.")


def transform_named(name: str) -> Transform:
    """The transform with this name.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in _TRANSFORMS:
        raise ValueError(
            f"transform {name!r} is unknown, expected one of {', '.join(_TRANSFORMS)}. Call register_transform "
            f"before you make or load the preprocessor."
        )
    return _TRANSFORMS[name]


class Preprocessor:
    """Transforms, fills gaps, standardises, clips, and optionally projects to principal components, in this order.

        preprocessor = Preprocessor(clip=5).fit(features.loc[training_ids])
        preprocessor.transform(features.loc[test_ids])      # (N, C) float32
        preprocessor.save("preprocessor.npz"); Preprocessor.load("preprocessor.npz")

    Args:
        transforms: names of elementwise functions, applied first; see :func:`register_transform`.
        impute: what fills a gap: the median or mean of the column in training. With none, a gap is an error.
        clip: limit of the distance from the mean, in standard deviations; 0 for no limit.
        pca: 0 for none; below 1 the share of variance that the components keep; from 1 on their number. Components
            are scaled to variance 1.
        max_missing_share: maximum share of gaps in the features of a track, and in the training tracks of a column.

    Raises:
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        transforms: Sequence[str] = (),
        impute: str = "median",
        clip: float = 5.0,
        pca: float = 0.0,
        max_missing_share: float = 0.1,
    ) -> None:
        if impute not in IMPUTES:
            raise ValueError(f"impute is {impute!r}, expected one of {', '.join(IMPUTES)}.")
        if clip < 0 or pca < 0 or (pca > 1 and pca != int(pca)):
            raise ValueError(
                f"clip is {clip} and pca {pca}; expected numbers of at least 0, and an integer pca if above 1."
            )
        self.options: dict[str, Any] = {
            "transforms": list(transforms),
            "impute": impute,
            "clip": float(clip),
            "pca": float(pca),
            "max_missing_share": float(max_missing_share),
        }
        self._functions = [transform_named(name) for name in transforms]
        self.columns: list[str] = []
        self._arrays: dict[str, np.ndarray] = {}

    @property
    def outputs(self) -> int:
        """Numbers per track after :meth:`transform`."""
        self._check_fitted()
        return len(self._arrays["pca_axes"]) or len(self.columns)

    @property
    def components(self) -> int:
        """Number of principal components; 0 if the outputs are the columns."""
        self._check_fitted()
        return len(self._arrays["pca_axes"])

    def fit(self, table: pd.DataFrame) -> "Preprocessor":
        """Fit medians, means, standard deviations and components.

        Args:
            table: training tracks by features, numbers or NaN; any column names.

        Returns:
            Itself.

        Raises:
            ValueError: if there are fewer than two tracks, a value is infinite, or too many are missing.
        """
        if len(table) < 2:
            raise ValueError(
                f"found {len(table)} training tracks, expected at least two to compute standard deviations."
            )
        self.columns = [column_name(column) for column in table.columns]
        values = self._checked(table)
        missing = np.isnan(values).mean(0)
        worst = int(missing.argmax())
        if missing[worst] > self.options["max_missing_share"]:
            raise ValueError(
                f"feature {self.columns[worst]} is missing in {missing[worst]:.1%} of the training tracks, expected "
                f"at most {self.options['max_missing_share']:.1%}. Leave the column out, or raise max_missing_share."
            )
        self._arrays = self._fit_arrays(values)
        return self

    def _fit_arrays(self, values: np.ndarray) -> dict[str, np.ndarray]:
        """fill, mean, scale, pca_mean (C,); pca_axes (P, C), with rows scaled to outputs of variance 1."""
        strategy = "mean" if self.options["impute"] == "mean" else "median"
        imputer = SimpleImputer(strategy=strategy, keep_empty_features=True).fit(values)
        filled = imputer.transform(values)
        scaler = StandardScaler().fit(filled)
        arrays = {"fill": imputer.statistics_, "mean": scaler.mean_, "scale": scaler.scale_}
        arrays |= {"pca_mean": np.zeros(0), "pca_axes": np.zeros((0, 0))}
        if wanted := self.options["pca"]:
            most = min(values.shape)
            if wanted > most:
                raise ValueError(
                    f"pca is {wanted:g}, but {len(values)} training tracks with {values.shape[1]} features have at "
                    f"most {most} components. Lower it."
                )
            components = int(wanted) if wanted >= 1 else wanted
            pca = PCA(components, svd_solver="full").fit(self._clip(scaler.transform(filled)))
            axes = pca.components_ / np.sqrt(np.maximum(pca.explained_variance_, 1e-12))[:, None]
            arrays |= {"pca_mean": pca.mean_, "pca_axes": axes}
        return arrays

    def transform(self, table: pd.DataFrame) -> np.ndarray:
        """Apply the fitted preprocessing.

        Args:
            table: tracks by features, with the columns of :meth:`fit`, in any order.

        Returns:
            (tracks, outputs) float32, finite.

        Raises:
            ValueError: if a column is missing, a value is infinite, or a track has too many gaps.
        """
        self._check_fitted()
        table = table.set_axis([column_name(column) for column in table.columns], axis=1)
        if missing := [column for column in self.columns if column not in table.columns]:
            raise ValueError(
                f"{len(missing)} of {len(self.columns)} features are missing from the table, the first is "
                f"{missing[0]}. Give the features that the preprocessor was fitted on."
            )
        values = self._checked(table[self.columns])
        values = np.where(np.isnan(values), self._arrays["fill"], values)
        values = self._clip((values - self._arrays["mean"]) / self._arrays["scale"])
        if self.components:
            values = (values - self._arrays["pca_mean"]) @ self._arrays["pca_axes"].T
        return values.astype(np.float32)

    def _clip(self, values: np.ndarray) -> np.ndarray:
        limit = self.options["clip"]
        return np.clip(values, -limit, limit) if limit else values

    def _checked(self, table: pd.DataFrame) -> np.ndarray:
        """(N, C) float64 after the transforms, with NaN for gaps that may be filled."""
        values = table.to_numpy(np.float64)
        for function in self._functions:
            values = function(values)
        if (infinite := np.argwhere(np.isinf(values))).size:
            row, column = infinite[0]
            raise ValueError(
                f"track {table.index[row]}: {self.columns[column]} is infinite (and {len(infinite) - 1} more values), "
                f"expected a number or an empty cell. Correct the table, or leave the track out."
            )
        gaps = np.isnan(values)
        allowed = 0.0 if self.options["impute"] == "none" else self.options["max_missing_share"]
        if values.size and (shares := gaps.mean(1)).max() > allowed:
            row = int(shares.argmax())
            raise ValueError(
                f"track {table.index[row]}: {gaps[row].sum()} of {len(self.columns)} features are missing (NaN), the "
                f"first is {self.columns[int(gaps[row].argmax())]}; expected at most {allowed:.1%}. Correct the table, "
                f"leave the track out, or set impute and max_missing_share."
            )
        return values

    def _check_fitted(self) -> None:
        if not self._arrays:
            raise ValueError("this preprocessor is not fitted: call fit with the training split, or load a fitted one.")

    def state_dict(self) -> dict[str, Any]:
        """Options, column names and tensors, which a checkpoint can hold without pickled objects."""
        self._check_fitted()
        tensors = {name: torch.from_numpy(array.copy()) for name, array in self._arrays.items()}
        return {"options": dict(self.options), "columns": list(self.columns), **tensors}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> "Preprocessor":
        """Build a preprocessor from a :meth:`state_dict`."""
        made = cls(**state["options"])
        made.columns = list(state["columns"])
        made._arrays = {name: state[name].numpy() for name in _ARRAYS}
        return made

    def save(self, path: Path | str) -> None:
        """Write a NumPy archive (.npz) of arrays and one JSON text."""
        self._check_fitted()
        save_npz(path, "meta", {"options": self.options, "columns": self.columns}, self._arrays)

    @classmethod
    def load(cls, path: Path | str) -> "Preprocessor":
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises:
            FileNotFoundError: if the file is missing.
            ValueError: if the file is not a preprocessor.
        """
        meta, arrays = load_npz(path, "meta", _ARRAYS, "preprocessor", "Fit and save it again (Preprocessor.save).")
        try:
            return cls.from_state_dict({**meta, **{name: torch.from_numpy(array) for name, array in arrays.items()}})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: cannot be read as a preprocessor ({error}). Fit and save it again.") from error


def column_name(column: Any) -> str:
    """Join the levels of a column with slashes: ("mfcc", "mean", "01") becomes mfcc/mean/01."""
    return "/".join(map(str, column)) if isinstance(column, tuple) else str(column)
