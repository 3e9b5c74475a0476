"""How the kernels of this package are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile ``function`` to machine code that runs without the interpreter's lock; kept on disk between runs.

    The code checks no array bounds: a kernel looks at lengths itself. Unsigned 64-bit sums wrap, as they do in Go;
    also where compilation is turned off (NUMBA_DISABLE_JIT=1, to measure coverage) and NumPy would warn of it.
    What is kept on disk does not notice a change of a kernel in another module that it calls: remove it then.
    """
    if numba.config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:  # nowhere to keep it: neither beside the module nor in the user's cache can be written
        return cast(F, numba.njit(nogil=True)(function))


def inlined(function: F) -> F:
    """Like ``compiled``, for a small function: it becomes a part of every kernel that calls it."""
    if numba.config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)
    return cast(F, numba.njit(nogil=True, inline="always")(function))
