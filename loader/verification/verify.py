"""Verifies that the server holds the dataset's points, and no others."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from time import monotonic

import polars as pl

from loader.dataset.manifest import Manifest
from loader.dataset.opened import opened_dataset
from loader.dataset.schema import PointSchema
from loader.events import Advanced, Notice, Observer, Started, ignore, one_at_a_time
from loader.quantities import counted
from loader.servers.base import PointsQuery
from loader.servers.field_types import find_types
from loader.servers.frames import day_of, tag_columns
from loader.servers.load_method import Surplus
from loader.servers.patience import Patience, find_server
from loader.servers.restore import takes_files
from loader.servers.transport import Connection
from loader.verification.aggregates.expected import merge_cells, points_of, series_points, summarise
from loader.verification.aggregates.frames import Aggregates, by_field, join_answers, none_of
from loader.verification.aggregates.other_fields import find_other_fields
from loader.verification.choice import find_shards, tell_choice
from loader.verification.differences import Cell, cell_differences, cell_query, compare_cells
from loader.verification.field_types import find_other_types
from loader.verification.identities import overlapping
from loader.verification.outcome import Outcome, merge_outcomes
from loader.verification.picks import Picks, draw_rows, find_edited_rows
from loader.verification.query_pool import Found, QueryPool, query_pool
from loader.verification.settings import Difference, VerifyReport, VerifySettings, check
from loader.verification.surplus import decide, unproven, within_expected, without_surplus
from loader.verification.windows import Window, plan_windows

DRILL_POINTS = 500_000


@dataclass(frozen=True)
class Sample:
    """A point of the dataset, and the server's answer for it, once it is there."""

    query: PointsQuery
    expected: pl.DataFrame
    found: Found


def verify(settings: VerifySettings, observe: Observer = ignore) -> VerifyReport:
    """Compare every (series, UTC day) from the dataset's first day to its last, then samples, with the server.

    The server computes counts of every field, sums, minima and maxima. Of the (series, day) that differ, the points of
    at most ``settings.drills`` are fetched, to find those that differ. A float sum that differs beyond the tolerance
    is not a difference when the points turn out to be equal. Points outside of these days are not compared.
    The server also counts the values of fields that the dataset does not have.

    Where surplus is ignored, see ``surplus``, only points of the dataset are compared, and no other fields are looked
    for. Then all values are compared if the server gives files, unless the settings say otherwise.

    With ``settings.candles``, the server computes the candles of that rule in InfluxQL, and they are compared instead:
    prices, counts and volumes of integers exactly, sums of floats within the tolerance.
    With ``settings.values``, every value is compared instead of sums, samples and drills, see ``verify_values``; where
    it is None, that is chosen if the server gives files and sums and samples would take longer, see ``prefer_files``.

    Rows that cannot be points (a null time, NaN, ...) are compared with nothing, and counted by reason, apart from
    differences. Of rows with one identity, in any partitions, the last value of each field is expected.

    Memory is bounded by one batch of the dataset (for unsorted rows, see ``summarise``), the aggregates of all
    (series, day), and the points of one (series, day), at most DRILL_POINTS on the server; with ``settings.values``,
    see ``compare_values``.
    Raises ConfigError, StageError, ServerError, DecodeError.
    """
    started = monotonic()
    observe = one_at_a_time(observe)
    check(settings)
    with opened_dataset(settings.place.root, observe, state=settings.place.state) as manifest:
        if settings.candles:
            # Imported when it is used: nothing else needs what staging imports.
            from loader.verification.candles.verify_candles import verify_candles  # noqa: PLC0415

            return verify_candles(settings, settings.candles, manifest, observe, started)
        return _verify(settings, manifest, observe, started)


def _verify(settings: VerifySettings, manifest: Manifest, observe: Observer, started: float) -> VerifyReport:
    patience = Patience(settings.retry_seconds, observe, threading.Event())
    with Connection(settings.target, settings.timeout_seconds) as connection:
        server = find_server(connection, observe, patience)
        bucket = patience.ask(lambda: server.dialect.find_bucket(connection.send, settings.target))
        settings = decide(settings, manifest, bucket)
        files = bucket if takes_files(server.dialect) else None
        shards = find_shards(settings, manifest, files, connection, patience) if files else None
        tell_choice(settings, shards, observe)
        types: list[Mapping[str, set[str]] | None] = [{} for _ in manifest.schemas]
        if bucket and shards is None:  # storage files say the type of each block
            of_server = (server.dialect, settings.target, bucket)
            types = [
                patience.ask(partial(find_types, connection.send, *of_server, schema)) for schema in manifest.schemas
            ]
    if bucket and shards is not None:
        # Imported when it is used: sums need no compiled decoders, which take 70 MB.
        from loader.verification.values.by_file import prepare_decoders  # noqa: PLC0415

        started += prepare_decoders(observe)
    observe(Started("verify", manifest.rows))
    edited = find_edited_rows(settings, manifest, bucket, observe)
    with query_pool(settings, server.dialect, observe) as pool:
        if bucket is None:
            observe(Notice(f"bucket {settings.target.bucket!r} does not exist: every point is missing"))
        if None in types:
            observe(Notice("the server does not tell the types of fields: equal values of another type are not seen"))
        asked = pool if bucket else None
        runs = [
            _Verification(settings, part, draw_rows(settings, part, manifest, edited), asked, observe)
            for part in manifest.measurements
        ]
        comparable = [run for run, known in zip(runs, types, strict=True) if not run.refuse_types(known or {}, pool)]
        if len(comparable) < len(runs):
            observe(Notice("fields are stored in another type: nothing else is compared until types agree"))
        if bucket and (settings.values or shards is not None):
            from loader.verification.values.verify_values import verify_values  # noqa: PLC0415

            compared = verify_values(settings, [run.manifest for run in comparable], shards, pool, observe)
            for run, (windows, outcome) in zip(comparable, compared, strict=True):
                run.windows, run.found = windows, outcome
        else:
            for run in comparable:
                run.compare_all()
        for run in comparable if bucket and settings.surplus == Surplus.FAIL else ():
            run.found.add(find_other_fields(run.schema, plan_windows(run.partitions), pool))
    several = len(runs) > 1
    outcomes = [run.found.of_measurement(run.schema.measurement) if several else run.found for run in runs]
    found = merge_outcomes(outcomes, settings.max_listed)
    _tell_duplicates(manifest, found, observe)
    return VerifyReport(
        server=server.name,
        rows=manifest.rows,
        windows=sum(run.windows for run in runs),
        samples=sum(len(run.samples) for run in runs),
        differences=tuple(difference.shown() for difference in found.differences),
        difference_count=found.difference_count,
        seconds=monotonic() - started,
        values=found.values,
        unfit=sum(group.number for group in found.unfit),
        unfit_rows=tuple(group.shown() for group in found.unfit),
        superseded=found.superseded,
        measurements=manifest.rows_by_measurement,
        fingerprint=manifest.fingerprint,
        surplus=settings.surplus,
        rows_edited=sum(map(len, edited.values())),
    )


def _tell_duplicates(manifest: Manifest, found: Outcome, observe: Observer) -> None:
    """Report rows of one identity; if a load has moved rows apart, those that are left are a difference."""
    if manifest.moves and manifest.moves.rows:
        observe(Notice(str(manifest.moves)))
    if manifest.moves and found.superseded:
        values = counted(found.superseded, "value has", "values have")
        detail = f"{values} the series and time of a later row that sets the same field"
        found.add([Difference("missing", "", "", "", f"{detail}, though rows were moved apart")])
    elif found.superseded:
        observe(Notice(superseded_text(found.superseded)))


def superseded_text(number: int) -> str:
    """Return the message that later rows of the same identity replace ``number`` values."""
    return (
        f"{counted(number, 'value of the dataset is', 'values of the dataset are')} superseded: a later row of the same"
        " series and time sets the same field; a server keeps one of them, and the last one is expected"
    )


class _Verification:
    """Verifies one measurement. ``windows`` counts its (series, day); ``pool`` is None where there is no bucket."""

    def __init__(
        self, settings: VerifySettings, manifest: Manifest, picks: Picks, pool: QueryPool | None, observe: Observer
    ) -> None:
        self.settings = settings
        self.manifest = manifest
        self.picks = picks
        self.schema: PointSchema = manifest.schema
        self.partitions = manifest.filled
        self.pool = pool
        self.observe = observe
        self.windows = 0
        self.samples: list[Sample] = []
        self.found = Outcome(settings.max_listed)

    @property
    def ignoring(self) -> bool:
        """Whether points and values that the dataset does not have are ignored."""
        return self.settings.surplus == Surplus.IGNORE

    def refuse_types(self, types: Mapping[str, set[str]], pool: QueryPool) -> bool:
        """Find fields that the server holds in other types, and tell whether there are any; ``types`` are its types."""
        self.found.add(find_other_types(self.schema, types, plan_windows(self.partitions), pool))
        return bool(self.found.difference_count)

    def compare_all(self) -> None:
        """Find all differences."""
        cells = self.compare_windows(self.found)
        self.found.add(self.explain(cells))
        self.found.add(self.compare_samples(cells))

    def compare_windows(self, outcome: Outcome) -> list[Cell]:
        """Return the (series, day) that differ; the server computes its answers while the dataset is read.

        The rows that cannot be points, and the number of superseded values, are added to ``outcome``.
        """
        windows = plan_windows(self.partitions)
        answers = [self._ask(window) for window in windows]
        cells: list[Cell] = []
        for window, answer in zip(windows, answers, strict=True):
            parts = []
            for together in overlapping(window.partitions):
                part = summarise(self.settings.place.root, self.schema, together, self.picks)
                parts.append(part.cells)
                outcome.superseded += part.superseded
                outcome.add_unfit(part.unfit)
                self._ask_samples(part.picked)
                self.observe(Advanced(sum(partition.rows for partition in together)))
            expected = by_field(self.schema, merge_cells(self.schema, parts))
            number, differing = self._compare_window(window, expected, answer)
            self.windows += number
            cells += differing
        return cells

    def _compare_window(
        self, window: Window, expected: Aggregates, answer: list[tuple[str, Future[pl.DataFrame]]]
    ) -> tuple[int, list[Cell]]:
        """Return the number of (series, day) of ``window``, and those that differ from ``answer`` for good."""

        def compare(answer: list[tuple[str, Future[pl.DataFrame]]]) -> tuple[int, list[Cell]]:
            results = [(function, future.result()) for function, future in answer]
            found = join_answers(self.schema, results) if results else none_of(expected)
            if self.ignoring:
                found = within_expected(self.schema, expected, found)
            return compare_cells(self.schema, expected, found, self.settings.tolerance)

        first = compare(answer)
        if self.pool is None:
            return first
        # Only the numbers of points: sums of floats differ in their last digits from run to run.
        return self.pool.second_look.settle(
            first,
            lambda: compare(self._ask(window)),
            lambda each: [(cell.series, cell.day, cell.found) for cell in each[1]],
        )

    def explain(self, cells: Sequence[Cell]) -> list[Difference]:
        """Return the differences in ``cells``; the points of those that both sides have are fetched first."""
        differences: list[Difference] = []
        for number, cell in enumerate(sorted(cells, key=lambda cell: not (cell.expected and cell.found))):
            summary = cell_differences(self.schema, cell)
            if self.pool is None or number >= self.settings.drills or cell.found > DRILL_POINTS:
                differences += unproven(summary) if self.ignoring else summary
                continue
            query = cell_query(self.schema, cell)
            found = self.pool.points(query)
            expected = series_points(self.settings.place.root, self.schema, self.partitions, query.series, query.start)
            # equal counts and equal points: only the order in which floats were added differs
            counted = [difference for difference in summary if difference.kind != "different"]
            differences += self._judged(self.pool.differences(query, expected, found) or counted)
        return differences

    def compare_samples(self, cells: Sequence[Cell]) -> list[Difference]:
        """Return the differences of samples in (series, day) other than ``cells``, which are known to differ."""
        if self.pool is None:
            return []
        known = {(cell.series, cell.day) for cell in cells}
        differences: list[Difference] = []
        for sample in self.samples:
            sample.found.result()
            if (sample.query.series, day_of(sample.query.start)) not in known:
                differences += self._judged(self.pool.differences(sample.query, sample.expected, sample.found))
        return differences

    def _judged(self, differences: Sequence[Difference]) -> Iterable[Difference]:
        """Return those of ``differences`` between points that count."""
        return without_surplus(differences) if self.ignoring else differences

    def _ask(self, window: Window) -> list[tuple[str, Future[pl.DataFrame]]]:
        return self.pool.aggregates(self.schema, window.start, window.stop) if self.pool else []

    def _ask_samples(self, points: pl.DataFrame) -> None:
        if self.pool is None:
            return
        tags = tag_columns(len(self.schema.tags))
        series = points.select(tags).rows() if tags else [()] * points.height
        queries = [
            PointsQuery(self.schema, values, time, time + 1)
            for values, time in zip(series, points["time"], strict=True)
        ]
        for number, (query, found) in enumerate(zip(queries, self.pool.samples(queries), strict=True)):
            self.samples.append(Sample(query, points_of(self.schema, points[number]), found))
