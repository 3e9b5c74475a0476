"""Queries of InfluxDB 3 in parts that read no more files than it allows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.dataset.instant import DAY
from loader.dataset.schema import trades_schema
from loader.errors import ServerError
from loader.servers.base import Reply, Request, Target, TooManyFiles, WindowQuery
from loader.verification.file_windows import MOST_FILES, FileWindows, plan_parts
from tests.recorded_core import composed, recorded

HOUR = DAY // 24
TEN_MINUTES = HOUR // 6
TARGET = Target("http://127.0.0.1:8181", "t3")


def parts(firsts: list[int], lasts: list[int], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the plan for files with these times."""
    return list(plan_parts(np.sort(np.array(firsts, np.int64)), np.sort(np.array(lasts, np.int64)), start, stop))


def test_a_table_without_files_is_one_part() -> None:
    """So is one with as many as are allowed."""
    assert parts([], [], 0, DAY) == [(0, DAY)]
    times = [number * TEN_MINUTES for number in range(MOST_FILES)]
    assert parts(times, times, 0, 9 * DAY) == [(0, 9 * DAY)]


def test_dense_data_is_parted_before_the_limit() -> None:
    """A file for each ten minutes: days of 144 files are taken together up to 400."""
    times = [number * TEN_MINUTES for number in range(5 * 144)]
    assert parts(times, times, 0, 5 * DAY) == [(0, MOST_FILES * TEN_MINUTES), (MOST_FILES * TEN_MINUTES, 5 * DAY)]


def test_more_files_of_one_time_than_are_allowed() -> None:
    """Nothing can part them, so a part is a day; the server may allow more than we know."""
    times = [HOUR] * 1_000
    assert parts(times, times, 0, 2 * DAY) == [(0, HOUR), (HOUR, DAY), (DAY, 2 * DAY)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(-90, 90), st.integers(0, 20)), max_size=900), st.integers(-99, 99))
def test_parts_cover_the_time_once(files: list[tuple[int, int]], start: int) -> None:
    """They follow each other without gaps, from the first time to the last."""
    found = parts([first for first, _ in files], [first + length for first, length in files], start, 100)
    assert [found[0][0], *(stop for _, stop in found)] == [*(begin for begin, _ in found), 100]
    assert all(begin < stop for begin, stop in found)


class Table:
    """Answers looks at a table with ``files`` and counts them."""

    def __init__(self, *times: int) -> None:
        self.times = times
        self.looks = 0

    def __call__(self, request: Request) -> Reply:
        """Return the columns, or the files."""
        self.looks += 1
        if b"information_schema" in request.body:
            return recorded("columns").reply
        return composed(*({"min_time": time, "max_time": time} for time in self.times)).reply


def test_a_part_with_too_many_files_is_halved() -> None:
    """The answers come in the order of time, each for the columns of the table; the table is looked at once."""
    table, windows = Table(0, 1, 2, 3), FileWindows(TARGET)
    asked: list[tuple[int, int]] = []

    def ask(part: WindowQuery) -> pl.DataFrame:
        assert part.columns == {"host", "newf", "newtag", "time", "v"}
        asked.append((part.start, part.stop))
        if part.stop - part.start > 2:
            raise TooManyFiles
        return pl.DataFrame({"start": [part.start]})

    for _ in range(2):
        found = windows.ask(table, WindowQuery(trades_schema(), 0, 8), ask)
        assert [frame["start"][0] for frame in found] == [0, 2, 4, 6]
    assert asked[:4] == [(0, 8), (0, 4), (0, 2), (2, 4)]
    assert table.looks == 2


def test_a_nanosecond_cannot_be_halved() -> None:
    """The error names the setting of the server that helps."""

    def ask(part: WindowQuery) -> pl.DataFrame:
        raise TooManyFiles

    with pytest.raises(ServerError, match="more files of 1970-01-01T00:00:00") as caught:
        FileWindows(TARGET).ask(Table(), WindowQuery(trades_schema(), 0, 8), ask)
    assert "--query-file-limit" in caught.value.hint
