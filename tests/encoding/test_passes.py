"""Which pass of a fold local times belong to: compared with instants that became local times, and what is undecided."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.encoding.arrays import Integers
from loader.encoding.folds import Folds, find_folds
from loader.encoding.passes import Passes, SequenceScan, Span, Undecided, infer_passes
from tests.encoding.test_folds import EPOCH, MINUTE, ZONES, nanoseconds

BERLIN = "Europe/Berlin"
HOUR = 60 * MINUTE
MIDNIGHT = nanoseconds(datetime(2024, 10, 26, 22, tzinfo=UTC))
"""In Berlin; clocks go back three hours later."""


@dataclass(frozen=True)
class Row:
    """A row as it was measured: its series, its instant, and the bits of its fields."""

    series: int
    time: int
    fields: int = 1


def first_pass(zone: str, time: int) -> int:
    """Return the first instant that has the local time of ``time``, as the standard library knows it."""
    local = (EPOCH + timedelta(microseconds=time // 1_000)).astimezone(ZoneInfo(zone))
    return nanoseconds(local.replace(fold=0).astimezone(UTC))


def inferred(
    zone: str, files: list[list[Row]], times: list[int], batch: int = 1_000, *, whole: bool = True
) -> tuple[Passes, tuple[Undecided, ...], Integers]:
    """Infer the passes of rows whose local times are those of ``times``; ``whole`` looks at files, too."""
    folds = Folds(find_folds(zone, min(times), max(times)))
    series, by_file = SequenceScan(folds), SequenceScan(folds)
    stops = list(accumulate(map(len, files)))
    local = np.array([first_pass(zone, time) for time in times])
    rows = [row for file in files for row in file]
    numbers = np.array([row.series for row in rows])
    bits = np.array([[row.fields >> bit & 1 for bit in range(3)] for row in rows], np.bool_)
    none = np.zeros(0, np.int64)
    series.add(none, none, none, lambda places: np.zeros((0, 3), bool))  # a batch without a point
    start = 0
    for number, stop in enumerate(stops):
        while start < stop:
            part = np.arange(start, min(stop, start + batch))
            series.add(numbers[part], local[part], part, lambda places, part=part: bits[part[places]])
            if whole:
                by_file.add(
                    np.full(len(part), number), local[part], part, lambda places: np.zeros((len(places), 0), bool)
                )
            start = int(part[-1]) + 1
    passes, undecided = infer_passes(folds, series, by_file, lambda row: bisect_right(stops, row))
    there = dict.fromkeys(series.spans, 1 << 60)
    passes.begins = there | passes.begins
    return passes, undecided, passes.resolve(numbers, local, np.arange(len(rows)))


def berlin(text: str) -> list[Row]:
    """Return rows such as ``a 02:30`` (series and local time), ``a 02:30'`` (second pass), ``a 02:30/2`` (fields)."""
    rows = []
    for part in text.split(", "):
        whole, _, fields = part.partition("/")
        series, _, clock = whole.partition(" ")
        hours, minutes = map(int, clock.rstrip("'").split(":"))
        late = hours > 2 or clock.endswith("'")
        time = MIDNIGHT + hours * HOUR + minutes * MINUTE + (HOUR if late else 0)
        rows.append(Row(ord(series) - ord("a"), time, int(fields or 1)))
    return rows


def check(files: list[str], **options: int) -> tuple[Undecided, ...]:
    """Assert that rows get the instants that they have, unless something is undecided; return what is."""
    parts = [berlin(text) for text in files]
    times = [row.time for part in parts for row in part]
    for batch in (1, 2, 1_000):
        _, undecided, found = inferred(BERLIN, parts, times, batch)
        if not undecided:
            assert found.tolist() == times
    return undecided


@pytest.mark.parametrize(
    "files",
    [
        ["a 01:30, a 02:00, a 02:30, a 02:00', a 02:30', a 03:00"],
        ["a 02:00, a 02:30, a 02:00', a 02:30'"],
        ["a 01:00, a 02:30, a 02:10'"],
        ["a 02:30, a 02:10', a 03:10"],
        ["a 01:00, a 02:00, a 02:00', a 03:00"],
        ["a 02:00, a 02:30, a 02:30'"],
        ["a 01:00, a 02:10, a 02:10, a 02:20, a 02:10', a 03:00"],
        ["a 01:00, a 02:30", "a 02:30', a 03:00"],
        ["a 01:00, a 02:30", "a 02:00', a 03:00"],
        ["a 02:30, b 02:30, a 02:00', b 02:10', a 03:00, b 03:00"],
        ["a 01:00, a 02:30, a 02:00', a 03:00, b 00:30, b 02:40, b 02:20'"],
        ["a 02:10, b 02:20, a 02:30, a 02:20', c 02:25', a 02:30', b 03:00"],
        ["a 02:10, b 02:20, b 02:20, a 02:30, a 02:20', a 02:30', b 03:00"],
        ["a 00:00, a 01:30, a 03:30"],
    ],
)
def test_what_the_order_shows(files: list[str]) -> None:
    """Rows of both passes get their instants, in batches of any size and over files."""
    assert not check(files)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["a 01:30, a 02:00, a 02:30, a 03:00"], "never goes back"),
        (["a 01:30, a 02:00', a 02:30', a 03:00"], "never goes back"),
        (["a 02:30"], "never goes back"),
        (["a 02:30, a 02:10'"], "no other row shows"),
        (["a 02:30, a 02:30'"], "no other row shows"),
        (["a 02:00, a 02:30, a 02:10, a 02:20, a 02:10', a 03:00"], "more than once, at 2 and at 4"),
        (["a 01:00, a 02:30/1, a 02:30'/2, a 03:00"], "may be duplicates"),
        (["a 01:00, a 02:00, a 02:00, a 02:30, a 02:30, a 03:00"], "may be duplicates"),
        (["a 01:00, a 01:00, a 02:00, a 02:00', a 03:00"], "may be duplicates"),
        (["a 03:00, a 02:30', a 02:30, a 01:30"], "not in time order, 1 is earlier"),
        (["a 01:00, a 02:00, a 02:30, a 03:00, a 02:00', a 03:30"], "not in time order, 4 is earlier"),
        (["a 02:00, a 02:30, a 02:00', a 03:00, a 04:00, a 03:30"], "not in time order, 5 is earlier"),
        (["a 04:00, a 03:00, a 02:00, a 02:30, a 02:00'"], "not in time order, 1 is earlier"),
        (["a 01:00, a 02:30, a 02:20', b 02:25, b 03:00"], "never goes back"),
        (["a 02:10, a 02:30, a 02:20'", "b 02:25, a 02:40'"], "never goes back"),
        (["b 02:05, a 02:10, a 02:30, a 02:20', a 02:30'"], "never goes back"),
    ],
)
def test_what_the_order_does_not_show(files: list[str], why: str) -> None:
    """It is undecided, with the reason and the rows that show it."""
    undecided = check(files)
    assert undecided
    assert why in undecided[0].why.format(*undecided[0].others)


@st.composite
def measured(draw: st.DrawFn) -> tuple[str, list[list[Row]]]:
    """Return a zone, and rows of some series around a fold of it: each in time order, together in one of three ways."""
    zone = draw(st.sampled_from(sorted(ZONES)))
    year, minutes = ZONES[zone]
    middle = nanoseconds(datetime(year, 7, 1, tzinfo=UTC))
    (fold,) = find_folds(zone, middle - 183 * 24 * HOUR, middle + 183 * 24 * HOUR)
    steps = st.integers(-2 * minutes // 5, 3 * minutes // 5)
    series = draw(st.lists(st.sets(steps, min_size=1, max_size=25), min_size=1, max_size=4))
    each = [
        [Row(number, fold.stop + step * 5 * MINUTE) for step in sorted(times)] for number, times in enumerate(series)
    ]
    how = draw(st.sampled_from(["time", "series", "file"]))
    if how == "file":
        return zone, each
    rows = [row for part in each for row in part]
    rows = sorted(rows, key=lambda row: row.time) if how == "time" else rows
    place = draw(st.integers(0, len(rows)))
    return zone, [rows[:place], rows[place:]]


@settings(max_examples=300, deadline=None)
@given(measured(), st.integers(1, 30))
def test_instants_come_back_from_their_local_times(made: tuple[str, list[list[Row]]], batch: int) -> None:
    """Whatever is decided is right; a series that goes back within the fold, and elsewhere ascends, is decided."""
    zone, files = made
    rows = [row for file in files for row in file]
    times = [row.time for row in rows]
    _, undecided, found = inferred(zone, files, times, batch)
    unknown = {each.series for each in undecided}
    for row, time in zip(rows, found.tolist(), strict=True):
        assert row.series in unknown or row.time == time
    for number in {row.series for row in rows}:
        mine = [first_pass(zone, row.time) for row in rows if row.series == number]
        steps = sum(later < earlier for earlier, later in pairwise(mine))
        assert not (steps == 1 and len(mine) > 2 and number in unknown)


@settings(max_examples=200, deadline=None)
@given(measured(), st.randoms(use_true_random=False))
def test_any_mixture_of_ordered_series(made: tuple[str, list[list[Row]]], random: object) -> None:
    """What the rows of a series show of it holds, however rows of several series are mixed."""
    zone, files = made
    queues = [list(each) for each in files if each]
    mixed: list[Row] = []
    while queues:
        queue = random.choice(queues)  # type: ignore[attr-defined]
        mixed.append(queue.pop(0))
        queues = [each for each in queues if each]
    _, undecided, found = inferred(zone, [mixed], [row.time for row in mixed], 7, whole=False)
    unknown = {each.series for each in undecided}
    for number in {row.series for row in mixed} - unknown:
        pairs = [(row.time, time) for row, time in zip(mixed, found.tolist(), strict=True) if row.series == number]
        if [time for time, _ in pairs] == sorted(time for time, _ in pairs):
            assert all(time == inferred_time for time, inferred_time in pairs)


def test_steps_are_counted_over_batches() -> None:
    """Of the times that go back in a sequence, the first two are known, however many batches they are in."""
    span = Span(first=0, time=0)
    for start in (0, 10, 20):
        span.add_steps(np.arange(start, start + 4), np.array([False, True, False, False]))
    assert (span.before, span.step, span.again, span.steps) == (0, 1, 11, 3)
