"""Compiling ahead of the work, and saying so, since it looks like a stall otherwise."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import wait

from loader.events import Noted, Observer
from loader.waiting import Workers

_MOMENT = 1.0
"""Seconds."""


def compile_ahead(compile_kernels: Callable[[], None], what: str, observe: Observer) -> None:
    """Have ``what`` compiled; says so when it is not a matter of a moment, which it is once on a machine."""
    with Workers(1) as workers:
        compiling = workers.submit(compile_kernels)
        if wait([compiling], _MOMENT).not_done:
            observe(Noted(f"compiling the {what} for this machine, once: some seconds"))
        compiling.result()
