"""Which files and partitions are compared at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.manifest import Partition
from loader.encoding.tsm.decode.columns import TooManyPoints
from loader.servers.backup import Shard
from loader.verification.values import spans as spans_module
from loader.verification.values.spans import Span, halves, in_parts, plan_spans
from loader.verification.windows import Window

DAY = 86_400_000_000_000


def partition(first: int, last: int, rows: int = 10) -> Partition:
    """Return a partition from the middle of day ``first`` to the middle of day ``last``."""
    return Partition(f"{first}-{last}", rows, first * DAY + DAY // 2, last * DAY + DAY // 2, 1, "")


def shape(spans: list[Span]) -> list[tuple[int, list[tuple[float, float, list[str]]]]]:
    """Return shards, and days and partitions of their windows."""
    return [
        (
            span.shard.id if span.shard else 0,
            [(w.start / DAY, w.stop / DAY, [part.path for part in w.partitions]) for w in span.windows],
        )
        for span in spans
    ]


def test_shards_and_gaps() -> None:
    """Shards are cut to the dataset's days; gaps between them are spans where partitions lie in them."""
    shards = [Shard(1, -7 * DAY, 0), Shard(2, 0, 7 * DAY), Shard(3, 14 * DAY, 21 * DAY), Shard(4, 28 * DAY, 35 * DAY)]
    parts = [partition(2, 2), partition(6, 7), partition(20, 20)]
    assert shape(plan_spans(shards, parts)) == [
        (2, [(2, 7, ["2-2", "6-7"])]),
        (0, [(7, 14, ["6-7"])]),
        (3, [(14, 21, ["20-20"])]),
    ]
    assert plan_spans(shards, parts)[0].rows == 20
    assert shape(plan_spans([], parts)) == [(0, [(2, 21, ["2-2", "6-7", "20-20"])])]
    assert plan_spans(shards, []) == []


def test_a_shard_without_partitions() -> None:
    """A shard between partitions is looked at, since it may hold what the dataset has not."""
    shards = [Shard(1, 0, DAY), Shard(2, DAY, 2 * DAY), Shard(3, 3 * DAY, 4 * DAY)]
    assert shape(plan_spans(shards, [partition(0, 0), partition(3, 3)])) == [
        (1, [(0, 1, ["0-0"])]),
        (2, [(1, 2, [])]),
        (3, [(3, 4, ["3-3"])]),
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(1, 30)), min_size=1, max_size=10),
    st.lists(st.integers(-10, 60), max_size=6, unique=True).map(sorted),
    st.integers(1, 60),
)
def test_windows_cover_every_row_once(parts: list[tuple[int, int, int]], cuts: list[int], rows: int) -> None:
    """Windows follow each other from the first day to the last, and each has all partitions that overlap it."""
    partitions = sorted(
        (partition(first, first + length, size) for first, length, size in parts), key=lambda part: part.time_min
    )
    shards = [
        Shard(number, start * DAY + 5, stop * DAY + 5)
        for number, (start, stop) in enumerate(zip(cuts[::2], cuts[1::2], strict=False))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spans_module, "WINDOW_ROWS", rows)
        spans = plan_spans(shards, partitions)
    windows = [window for span in spans for window in span.windows]
    for span in spans:
        for window in span.windows:
            assert span.shard is None or span.shard.start <= window.start < window.stop <= span.shard.stop
    for former, window in pairwise(windows):
        assert former.stop <= window.start
        gap = range(former.stop, window.start)
        assert not any(gap and part.time_min < gap.stop and part.time_max >= gap.start for part in partitions)
    assert windows[0].start <= partitions[0].time_min
    assert windows[-1].stop > max(part.time_max for part in partitions)
    for window in windows:
        inside = {part for part in partitions if part.time_min < window.stop and part.time_max >= window.start}
        assert inside <= set(window.partitions)


def test_halves() -> None:
    """Windows are halved at midnight, as long as there is one within, then where the partitions' times are."""
    parts = (partition(0, 0), partition(2, 2))
    first, second = halves(Window(DAY // 4, 3 * DAY, parts))
    assert (first, second) == (Window(DAY // 4, DAY, parts[:1]), Window(DAY, 3 * DAY, parts[1:]))
    day = Window(DAY // 4, DAY, parts[:1])
    noon = parts[0].time_min
    assert list(halves(day)) == [Window(DAY // 4, 5 * DAY // 8, parts[:1]), Window(5 * DAY // 8, DAY, ())]
    some = Partition("some", 10, DAY // 2, DAY // 2 + 9, 1, "")
    middle = DAY // 2 + 5
    assert list(halves(Window(0, DAY, (some,)))) == [Window(0, middle, (some,)), Window(middle, DAY, (some,))]
    instant = Window(noon, noon + 1, parts[:1])
    assert list(halves(instant)) == [instant]


def test_parts_that_have_too_much_are_not_tried() -> None:
    """Rows are taken to be spread evenly; a part is halved where it still has too much, unless it is an instant."""
    one = Partition("one", 1_000, 0, 999, 1, "")
    whole = Window(0, DAY, (one,))
    tried: list[tuple[int, int, int]] = []

    def compare(window: Window, most: int) -> None:
        tried.append((window.start, window.stop, most))
        if (window.start, window.stop) == (250, 500):
            raise TooManyPoints

    in_parts(whole, 3_000, compare, row_bytes=10)
    assert tried == [
        (0, 250, 3_000),
        (250, 500, 3_000),
        (250, 375, 3_000),
        (375, 500, 3_000),
        (500, 750, 3_000),
        (750, DAY, 3_000),
    ]
    tried.clear()
    in_parts(whole, 3_000, compare, row_bytes=3)
    assert tried == [(0, DAY, 3_000)]
    tried.clear()
    instant = Window(5, 6, (Partition("many", 1_000, 5, 5, 1, ""),))
    in_parts(instant, 3_000, compare, row_bytes=10)
    assert tried == [(5, 6, 0)]
    tried.clear()
    in_parts(whole, 0, compare, row_bytes=10)
    assert tried == [(0, DAY, 0)]
