"""Finds the settings with which the user's own server takes the user's own data fastest.

A coordinate search from the defaults: batch size, connections, compression, each in turn, in trials on scratch buckets.
Then all settings that were found are compared with the defaults, and kept only if they are faster beyond the noise.
Row order and load path are measured, too, for advice.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from loader.dataset.adopt import adopt, prepare_state
from loader.dataset.manifest import Manifest
from loader.dataset.opened import opened_dataset
from loader.encoding.escaping import check_names
from loader.encoding.warm import compile_ahead, compile_line_encoder
from loader.errors import ConfigError, Refused
from loader.events import Advanced, Notice, Observer, Started, ignore
from loader.loading.flow import gzip_level
from loader.loading.restore_path.storage_files import prepare_encoders
from loader.quantities import counted
from loader.servers.patience import Patience, Stopped, find_server
from loader.servers.probe import Server
from loader.servers.restore import require_operator, takes_files
from loader.servers.tables import has_tables
from loader.servers.transport import Connection
from loader.tuning.bench import RETRY_SECONDS, Bench, Measured
from loader.tuning.coordinate import find_settings
from loader.tuning.factors import BODIES, Factors
from loader.tuning.result import write_result
from loader.tuning.rule import LEAST_REPEATS
from loader.tuning.sample import Sample, take_sample
from loader.tuning.scratch import Scratch, make_name
from loader.tuning.search import LAST_REPEATS, Search
from loader.tuning.settings import TOGETHER, TunedSettings, TuneReport, TuneSettings

LEAST_SECONDS, MOST_SECONDS = 1.0, 3_600.0
_FIRST_ROWS = 60_000
"""Rows of the first trial, which tells how many rows the others can have."""
_TURNS = 4
"""Turns that the time is meant for."""
_VALUES = 20
"""The most values that there are to be measured."""
_FIRST_SHARE = 0.03
"""The share of the time that the first trial may take."""
_LEAST_TRIAL = 0.05
"""Seconds of the shortest trial."""
_LONGEST, _LONGEST_SHARE = 4.0, 0.08
"""A trial ends after so many times the seconds that it is meant to take, or this share of all seconds."""


def tune(settings: TuneSettings, observe: Observer = ignore, stop: threading.Event | None = None) -> TuneReport:
    """Measure the server and return the best settings for the dataset; keep them for ``loader load --tuned``.

    Nothing of the dataset changes, and its ledger is not touched. Setting ``stop`` ends it within a second, with a
    report of what was measured that says ``interrupted``; then nothing is kept. Scratch buckets are removed, also after
    an error. Memory is that of a load, with batches of up to four times the size, and 256 MiB for the sample.
    Raises ConfigError and StageError before anything is made; Refused when the token may not make buckets; ServerError,
    LoadError and EncodeError when measuring fails, and when a scratch bucket cannot be removed.
    """
    _check(settings)
    place = settings.place
    adopted = adopt(place, settings.mapping, moving=True)
    if adopted:
        prepare_state(place)
    with opened_dataset(place.root, observe, stop, place.state, adopted) as manifest:
        for schema in manifest.schemas:
            check_names(schema)
        with Connection(replace(settings.target, bucket=make_name()), settings.timeout_seconds) as link:
            report = _Tuning(settings, manifest, link, observe, stop or threading.Event()).run()
    return report if report.interrupted else write_result(place.state, report, observe)


def _check(settings: TuneSettings) -> None:
    if not LEAST_SECONDS <= settings.seconds <= MOST_SECONDS:  # also for NaN
        raise ConfigError(
            f"seconds of {settings.seconds:g}", hint=f"use {LEAST_SECONDS:g} to {MOST_SECONDS:g}; a minute is usual"
        )
    start = settings.start or TunedSettings()
    numbers = {
        "sample rows": settings.sample_rows,
        "batch lines": start.batch_lines,
        "batch bytes": start.batch_bytes,
        "connections": start.connections,
    }
    for name, number in numbers.items():
        if number < 1:
            raise ConfigError(f"{name} of {number:,}", hint="use 1 or more")
    gzip_level(start.compress, settings.target.url)


@dataclass(frozen=True)
class _Tuning:
    """One tuning of the dataset of ``manifest``; ``link`` is the connection for questions."""

    settings: TuneSettings
    manifest: Manifest
    link: Connection
    observe: Observer
    stop: threading.Event

    def run(self) -> TuneReport:
        """Measure everything and return the report."""
        settings, manifest = self.settings, self.manifest
        start = settings.start or TunedSettings(compress=_usual_compression(settings.target.url))
        patience = Patience(RETRY_SECONDS, self.observe, self.stop)
        began = time.monotonic()
        search = Search(0.0, 0)
        found, server_name = start, ""
        sample: Sample | None = None
        try:
            server = find_server(self.link, self.observe, patience)
            server_name = server.name
            if has_tables(server.dialect):
                raise ConfigError(
                    f"{server.name} is not measured: it answers a write once a second, whatever its size",
                    hint="loader load uses six connections and bodies of 10 MiB there; try others with --connections",
                )
            scratch = Scratch.on(server, self.link.target, settings.timeout_seconds, self.observe, self.stop)
            patience.ask(lambda: scratch.tidy(self.link.send))
            restores = self._can_restore(server, search, patience)
            compile_ahead(compile_line_encoder, "encoder", self.observe)
            if restores:
                prepare_encoders(self.observe)
            self.observe(Started("tune", 0))
            began = time.monotonic()
            search.deadline = began + settings.seconds
            bench = Bench(settings, scratch, self.link, self.stop)
            sample, seconds, overhead = self._size(bench, start, search)
            longest = min(seconds * _LONGEST, settings.seconds * _LONGEST_SHARE)
            factors = Factors(bench, sample, longest, self._counted)
            search.left = factors.count(start, restores=restores)
            search.kept = 2 * LAST_REPEATS * (seconds + overhead)
            self._announce(sample, search.left, seconds + overhead)
            found = find_settings(search, factors, start, restores=restores)
            if search.unmeasured:
                said = ", ".join(search.unmeasured)
                search.notes.append(f"there was no time left to measure {said}: give more with --seconds")
        except Stopped:
            pass
        return TuneReport(
            url=settings.target.url,
            server=server_name,
            fingerprint=manifest.fingerprint,
            measured=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=time.monotonic() - began,
            rows=manifest.rows,
            sample_rows=sample.manifest.rows if sample else 0,
            sample_bytes=sample.size if sample else 0,
            start=start,
            found=found,
            flags=found.flags,
            gain=next((each.ratio for each in search.trials if each.factor == TOGETHER and each.chosen), 1.0),
            trials=tuple(search.trials),
            notes=tuple(search.notes),
            interrupted=self.stop.is_set(),
        )

    def _can_restore(self, server: Server, search: Search, patience: Patience) -> bool:
        """Tell whether the restore path can be measured; a note says why it cannot."""
        try:
            if takes_files(server.dialect):
                patience.ask(lambda: require_operator(self.link.send))
                return True
            why = f"{server.name} takes no storage files"
        except (ConfigError, Refused) as error:
            why = error.message
        search.notes.append(f"the restore path was not measured: {why}")
        return False

    def _size(self, bench: Bench, start: TunedSettings, search: Search) -> tuple[Sample, float, float]:
        """Return a sample of the size that the time allows, the seconds that sending it takes, and those besides."""
        settings = self.settings
        first = take_sample(settings.place.root, self.manifest, min(_FIRST_ROWS, settings.sample_rows))
        most = settings.seconds * _FIRST_SHARE
        bench.send(first, start, most)  # the first of all is slower: the server and this process have to warm up
        began = time.monotonic()
        measured = bench.send(first, start, most)
        if measured.refused:
            search.notes.append(
                f"the server refused {counted(measured.refused, 'line')} of a trial of {len(first.lines):,}, and"
                " finding them takes time: mend them, and measure again; loader load says what is wrong with them"
            )
        overhead = time.monotonic() - began - measured.seconds
        seconds = max(settings.seconds / (_TURNS * _VALUES) - overhead, _LEAST_TRIAL)
        # Enough bodies for the next larger batch: where they take too long, a trial ends before the last.
        least = 2 * BODIES * start.connections * start.batch_lines
        rows = min(max(least, int(measured.rate * seconds)), settings.sample_rows)
        sample = take_sample(settings.place.root, self.manifest, rows)
        return sample, sample.manifest.rows / measured.rate, overhead

    def _announce(self, sample: Sample, values: int, trial_seconds: float) -> None:
        needed = LEAST_REPEATS * values * trial_seconds
        self.observe(
            Notice(
                f"measuring for about {self.settings.seconds:g} s: each trial sends {sample.manifest.rows:,} rows"
                f" ({sample.size / 1e6:,.1f} MB of line protocol) into a new scratch bucket, and removes it"
            )
        )
        if needed > self.settings.seconds:
            self.observe(
                Notice(f"to repeat everything {LEAST_REPEATS} times would take about {needed:,.0f} s: see --seconds")
            )
        self.observe(Started("tune", _TURNS * values * sample.manifest.rows))

    def _counted(self, measured: Measured) -> Measured:
        self.observe(Advanced(measured.rows))
        return measured


def _usual_compression(url: str) -> str:
    """Return what "auto" means for a load to ``url``."""
    level = gzip_level("auto", url)
    return f"gzip:{level}" if level else "none"
