"""Decorators that compile the kernels of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile ``function`` to machine code that runs without the interpreter's lock; kept on disk between runs.

    The code checks no array bounds: a kernel must check lengths itself. Unsigned 64-bit sums wrap, as they do in Go;
    also where compilation is turned off (NUMBA_DISABLE_JIT=1, to measure coverage) and NumPy would warn of it.
    Code on disk is not compiled again when a kernel in another module that it calls changes: remove it then.
    """
    return _compile(function, {})


def allocation_free(function: F) -> F:
    """Like ``compiled``, for a kernel that makes no array.

    References to its arrays are not counted: counting takes most of the time of a kernel that uses many arrays for
    every few bytes.
    """
    return _compile(function, {"_nrt": False})


def _compile(function: F, options: Mapping[str, bool]) -> F:
    if numba.config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)
    try:
        return cast(F, numba.njit(cache=True, nogil=True, **options)(function))
    except RuntimeError:  # the code cannot be kept: neither the module's folder nor the user's cache is writable
        return cast(F, numba.njit(nogil=True, **options)(function))


def inlined(function: F) -> F:
    """Like ``compiled``, for a small function: it becomes a part of every kernel that calls it."""
    if numba.config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)
    return cast(F, numba.njit(nogil=True, inline="always")(function))
