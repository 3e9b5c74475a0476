"""How hot loops are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile ``kernel`` to machine code at its first call, without the interpreter's lock, and keep it on disk.

    Array bounds are not checked: whoever calls a kernel makes sure that they hold. NUMBA_DISABLE_JIT=1 leaves it as
    Python, for debuggers and coverage.
    """
    return cast(Kernel, numba.njit(cache=True, nogil=True)(kernel))
