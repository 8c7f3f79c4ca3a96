"""Functions of single values that a preprocessor may apply first, by name, so that files need not hold code."""

from collections.abc import Callable

import numpy as np

Transform = Callable[[np.ndarray], np.ndarray]


def _signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def _signed_root(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.sqrt(np.abs(values))


_TRANSFORMS: dict[str, Transform] = {"signed_log": _signed_log, "signed_root": _signed_root}


def register_transform(name: str, function: Transform) -> None:
    """Make a function of your own known to preprocessors: value by value, NaN stays NaN.

        register_transform("cube_root", np.cbrt)

    Args:
        name: that files and options give.
        function: maps (N, C) float64 to (N, C).

    Raises:
        ValueError: if the name is taken by another function.
    """
    if _TRANSFORMS.setdefault(name, function) is not function:
        raise ValueError(f"transform {name!r} is registered already; choose another name.")


def transform_named(name: str) -> Transform:
    """The function of a name.

    Raises:
        ValueError: if there is none.
    """
    if name not in _TRANSFORMS:
        raise ValueError(
            f"transform {name!r} is unknown; there are {', '.join(_TRANSFORMS)}. Call register_transform before "
            f"the preprocessor is made or loaded."
        )
    return _TRANSFORMS[name]
