"""Stages exactly N synthetic trades, one partition a session, on all processors."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing, contextmanager
from importlib.metadata import version
from itertools import islice
from typing import Any

from loader.dataset.contents import Identity, remember
from loader.dataset.manifest import Manifest, write_manifest
from loader.dataset.schema import trades_schema
from loader.dataset.state import writing
from loader.errors import ConfigError
from loader.events import Advanced, Observer, Started, ignore
from loader.market.calendar import list_sessions
from loader.market.prices import SessionPlan, plan_sessions
from loader.market.symbols import COLUMNS, SYMBOLS, Symbol, parse_symbols, pick_symbols
from loader.memory import measure_peak_memory
from loader.staging.explained import explained
from loader.staging.folder import check_space, clean, keep_partitions, remove_partitions
from loader.staging.partition import Compression, Outcome, Task, make_partition, name_partition
from loader.staging.settings import StageReport, StageSettings
from loader.waiting import SLICE_SECONDS, join

# A session is made in memory as a whole; busy ones have one and a half times as many trades as the mean.
MOST_ROWS = 10_000_000
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stage(settings: StageSettings, observe: Observer = ignore) -> StageReport:
    """Stage the trades of ``settings``; partitions that an earlier run finished are kept.

    Workers are spawned processes: a script guards its own calls with ``if __name__ == "__main__"``.
    Memory: about 150 MB a worker, and 100 bytes a trade of the largest session each.
    Raises ConfigError before anything is written when the settings, the folder or the disk are not suitable,
    StageError when the work cannot be finished; a rerun resumes from there.
    """
    began = time.monotonic()
    symbols = _read_symbols(settings)
    plans = _plan(settings, symbols)
    with explained(settings.out), writing(settings.out):
        return _stage(settings, _describe(settings, symbols), plans, observe, began)


def _stage(
    settings: StageSettings,
    described: Mapping[str, Any],
    plans: Sequence[SessionPlan],
    observe: Observer,
    began: float,
) -> StageReport:
    root = settings.out
    clean(root)
    by_path = {name_partition(plan): plan for plan in plans}
    kept, going = keep_partitions(root, described, frozenset(by_path), overwrite=settings.overwrite)
    rows_kept = sum(partition.rows for partition in kept)
    compression = Compression.parse(settings.compression)
    done = {partition.path for partition in kept}
    tasks = [Task(root, plan, compression) for path, plan in by_path.items() if path not in done]
    check_space(root, settings.trades - rows_kept, len(tasks), going)

    def record(complete: bool) -> Manifest:
        manifest = Manifest(
            (trades_schema(),), described, _list_versions(), tuple(sorted(partitions)), complete, distinct=True
        )
        write_manifest(root, manifest)
        return manifest

    partitions = list(kept)
    memory: dict[int, int] = {}
    made: dict[str, tuple[Identity, str]] = {}
    observe(Started("stage", settings.trades, rows_kept))
    manifest = record(complete=not tasks)
    # Only now: wherever this ends, the manifest lists nothing that is gone.
    remove_partitions(root, going)
    with closing(_run(tasks, settings.workers)) as outcomes:
        for outcome in outcomes:
            partitions.append(outcome.partition)
            made[outcome.partition.path] = outcome.identity, outcome.partition.checksum
            memory[outcome.process] = outcome.peak_memory
            manifest = record(complete=len(partitions) == len(plans))
            observe(Advanced(outcome.partition.rows, outcome.partition.size))
    remember(root, partitions, made, time.time_ns())
    memory[os.getpid()] = measure_peak_memory()
    return StageReport(
        rows=manifest.rows,
        size=sum(partition.size for partition in partitions),
        partitions=len(partitions),
        partitions_kept=len(kept),
        fingerprint=manifest.fingerprint,
        seconds=time.monotonic() - began,
        peak_memory=sum(memory.values()),
        measurements=manifest.rows_by_measurement,
    )


def _run(tasks: Sequence[Task], workers: int) -> Generator[Outcome, None, None]:
    """Make the partitions of ``tasks``, in the order they finish; a single worker is this process itself."""
    if workers == 1 or len(tasks) < 2:
        yield from map(make_partition, tasks)
        return
    # Spawned, because a fork of a process with threads (pyarrow has them) may hang.
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with _interrupts_held():
        pool = ProcessPoolExecutor(min(workers, len(tasks)), context, initializer=_follow_coordinator)
    with pool:
        rest = iter(tasks)
        try:
            running = _submit(pool, islice(rest, 2 * workers))
            while running:
                finished, running = wait(running, SLICE_SECONDS, FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
                running |= _submit(pool, islice(rest, len(finished)))
        except BaseException:
            # A session takes seconds, and is of no use before it is whole: its end is not waited for.
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.kill()
            pool.shutdown(cancel_futures=True)
            clean(tasks[0].root)
            raise


def _submit(pool: ProcessPoolExecutor, tasks: Iterable[Task]) -> set[Future[Outcome]]:
    """Submit ``tasks`` to the workers; this is where they are spawned."""
    with _interrupts_held():
        return {pool.submit(make_partition, task) for task in tasks}


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C: a worker must not be interrupted while it is spawned or while it imports."""
    held: list[int] = []
    handlers: dict[int, Any] = {}
    # The mask is for the workers, which inherit it; this process may get the signal in any of its threads.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            # Only Python handlers can run in the middle of a spawn; ignored and default signals act as usual.
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, lambda number, frame: held.append(number))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for kind, handler in handlers.items():
            signal.signal(kind, handler)
    for came in dict.fromkeys(held):
        handlers[came](came, None)


def _follow_coordinator() -> None:
    """Set up a worker: it leaves Ctrl-C to the coordinator, and ends when the coordinator is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    threading.Thread(target=_end_with_coordinator, daemon=True).start()


def _end_with_coordinator() -> None:
    """Wait for the end of the coordinator: if it is killed, its workers would otherwise wait for work forever."""
    coordinator = multiprocessing.parent_process()
    if coordinator is not None:
        join(coordinator)
        os._exit(1)


def _plan(settings: StageSettings, symbols: Sequence[Symbol]) -> tuple[SessionPlan, ...]:
    """Check the settings that need no folder, and plan every session; raises ConfigError."""
    for name, value, least in (
        ("trades", settings.trades, 1),
        ("workers", settings.workers, 1),
        ("seed", settings.seed, 0),
    ):
        if value < least:
            raise ConfigError(f"{name}: {value}", hint=f"{name} is at least {least}")
    Compression.parse(settings.compression)
    sessions = list_sessions(settings.calendar, settings.start, settings.end)
    mean = settings.trades // len(sessions)
    if mean > MOST_ROWS:
        raise ConfigError(
            f"trades: {settings.trades:,} over {len(sessions)} sessions make {mean:,} a session",
            hint=f"at most {MOST_ROWS:,} a session: stage fewer trades or more sessions",
        )
    return plan_sessions(sessions, symbols, settings.trades, settings.seed)


def _read_symbols(settings: StageSettings) -> tuple[Symbol, ...]:
    """Return the symbols of the settings; raises ConfigError for a file that is missing or wrong."""
    known = SYMBOLS
    if settings.symbols_file is not None:
        try:
            known = parse_symbols(settings.symbols_file.read_text(encoding="utf-8-sig"), str(settings.symbols_file))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{settings.symbols_file}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}",
                hint=f"give a CSV file with columns {', '.join(COLUMNS)}",
            ) from error
    return pick_symbols(known, settings.symbols)


def _describe(settings: StageSettings, symbols: Sequence[Symbol]) -> dict[str, Any]:
    """Return the settings that determine the content, in the form that JSON reads back."""
    return {
        "trades": settings.trades,
        "calendar": settings.calendar,
        "symbols": {symbol.name: [symbol.weight, symbol.price, symbol.volatility] for symbol in symbols},
        "start": settings.start.isoformat(),
        "end": settings.end.isoformat(),
        "seed": settings.seed,
        "compression": settings.compression,
    }


def _list_versions() -> dict[str, str]:
    packages = ("loader", "numpy", "polars", "pyarrow")
    return {name: version(name) for name in packages} | {"python": platform.python_version()}
