"""What each server takes: the table of docs/servers.md, made by loads into real servers, and by recorded replies.

``LOADER_WRITE_TABLES=1`` writes the table anew: then each test puts what it found into it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from loader.dataset.mapping import ColumnMapping
from loader.errors import LoaderError
from loader.loading import LoadReport, LoadSettings, load
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.fault_proxy import Answer, fault_proxy
from tests.on_servers.test_recorded_core import ROWS, Stored, looks
from tests.recorded_core import Asked, Exchange, recorded, recorded_core

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
HEADING = "| Case | Server | What happens |\n|---|---|---|\n"
SERVERS = {"v1.6": "1.6.7", "v1": "1.8.10", "v2": "2.9.1", "v3": "3.10.1, recorded"}
FIXTURES = {"v1.6": "influx_early", "v1": "influx_v1", "v2": "influx_v2"}
MAPPING = ColumnMapping(measurement="m", tags=("h",), time="t", time_unit="ns")
TIME = int(ROWS["t"][0])
UNSENT = "the row is rejected, and not sent"
REFUSED = "the load is refused before anything is made"
Table = dict[str, dict[str, str]]


@dataclass
class Place:
    """A bucket to load into; ``paths`` are those of requests so far."""

    target: Target
    paths: Callable[[], Sequence[str]]

    @property
    def writes(self) -> int:
        """How many writes came."""
        return sum("write" in path for path in self.paths())


class Real:
    """A server that runs here."""

    def __init__(self, server: Any) -> None:
        self.server = server

    @contextmanager
    def place(self, *, missing: bool = False, typed: bool = False, limited: bool = False) -> Iterator[Place]:
        """Yield a new bucket.

        It may be ``missing``; or ``typed``, with an integer ``w``; or ``limited``: a proxy refuses the first body as
        too large, as one with a limit does.
        """
        server = self.server
        bucket = f"missing{next(server.numbers)}" if missing else server.new_bucket()
        if typed:
            path = "/write?" if server.version.startswith("1.") else "/api/v2/write?"
            server.call(f"{path}db={bucket}&org={server.org}&bucket={bucket}", f"m,h=z w=1i {TIME}".encode())
        faults = iter([Answer(413)] if limited else [])
        watched = ("/health", "/ping", "/write")
        with fault_proxy(server.url, lambda call: next(faults, None) if call.body else None, watched) as proxy:
            target = Target(proxy.url, bucket, server.org, server.token)
            yield Place(target, lambda: [call.path for call in proxy.writes])


class Recorded:
    """InfluxDB 3 Core by its recorded replies."""

    @contextmanager
    def place(self, *, missing: bool = False, typed: bool = False, limited: bool = False) -> Iterator[Place]:
        """Yield a database, as ``Real.place``."""
        stored = Stored()
        replies = iter(["integer into float" if typed else "10 MiB and a byte" if limited else "write"])

        def answer(asked: Asked) -> Exchange | str:
            if asked.path == "/api/v3/write_lp":
                return next(replies, "write")
            if missing and (asked.method, asked.path) == ("GET", "/api/v3/configure/database"):
                return "databases"
            return looks(asked) or stored(asked) if core.writes == [] else stored(asked)

        with recorded_core(answer) as core:
            yield Place(core.target, lambda: [each.path for each in core.asked])


Subject = Real | Recorded


def loaded(folder: Path, place: Place, rows: pl.DataFrame, **settings: Any) -> LoadReport | LoaderError:
    """Load ``rows`` and return the report, or the error."""
    path = folder / "rows.parquet"
    rows.write_parquet(path)
    try:
        return load(LoadSettings(path, place.target, mapping=MAPPING, retry_seconds=5.0, restart=True, **settings))
    except LoaderError as error:
        return error


def outcome(found: LoadReport | LoaderError, rejected: str = UNSENT) -> str:
    """Return what happened, in words."""
    if isinstance(found, LoaderError):
        return REFUSED
    return rejected if found.rows_rejected else "stored"


def recognised(subject: Subject, folder: Path) -> str:
    """Look which request told the version."""
    with subject.place() as place:
        loaded(folder, place, ROWS)
        return f"by `GET {[path for path in place.paths() if path in {'/health', '/ping'}][-1]}`"


def missing_bucket(subject: Subject, folder: Path) -> str:
    """Load into a bucket that is not there."""
    with subject.place(missing=True) as place:
        found = loaded(folder, place, ROWS)
    return "made" if isinstance(found, LoadReport) else REFUSED


def other_type(subject: Subject, folder: Path) -> str:
    """Load three rows, of which one has a float where the bucket has an integer."""
    rows = ROWS.select("h", "i", pl.when(pl.col("v") == 2.5).then(0.5).alias("w"), "t")
    with subject.place(typed=True) as place:
        found = loaded(folder, place, rows)
        how = "the server names it" if place.writes == 1 else "found by halves of the body"
    return outcome(found, f"that line is rejected; {how}")


def too_large(subject: Subject, folder: Path) -> str:
    """Load rows of which the first body is answered with 413."""
    with subject.place(limited=True) as place:
        found = loaded(folder, place, ROWS)
        return f"{outcome(found)}, in {'halves' if place.writes > 1 else 'one body'}"


def odd_tag(text: str) -> Callable[[Subject, Path], str]:
    """Return a case that loads a tag with ``text``."""

    def case(subject: Subject, folder: Path) -> str:
        with subject.place() as place:
            return outcome(loaded(folder, place, ROWS.with_columns(h=pl.lit(text))))

    return case


def long_string(subject: Subject, folder: Path) -> str:
    """Load a string of a mebibyte and a byte."""
    with subject.place() as place:
        found = loaded(folder, place, ROWS[:1].select("h", "t", s=pl.lit("x" * ((1 << 20) + 1))))
        return outcome(found, "the server refuses the line, and the row is rejected" if place.writes else UNSENT)


def wide(subject: Subject, folder: Path) -> str:
    """Load a row of 500 fields."""
    with subject.place() as place:
        return outcome(
            loaded(folder, place, ROWS[:1].select("h", "t", *(pl.lit(1).alias(f"f{n}") for n in range(500))))
        )


def verified(**settings: Any) -> Callable[[Subject, Path], str]:
    """Return a case that loads rows and verifies them."""

    def case(subject: Subject, folder: Path) -> str:
        with subject.place() as place:
            loaded(folder, place, ROWS)
            report = verify(VerifySettings(folder / "rows.parquet", place.target, retry_seconds=5.0, **settings))
        return f"{report.difference_count or 'no'} differences"

    return case


def restored(subject: Subject, folder: Path) -> str:
    """Load by the restore path."""
    with subject.place(missing=True) as place:
        found = loaded(folder, place, ROWS, via="restore")
    return "restored" if isinstance(found, LoadReport) else REFUSED


CASES: Mapping[str, Callable[[Subject, Path], str]] = {
    "The server is recognised": recognised,
    "The bucket is missing": missing_bucket,
    "A line has a field of another type": other_type,
    "A body is answered with 413": too_large,
    "A tag holds a tab": odd_tag("a\tb"),
    "A tag ends with a backslash": odd_tag("a\\"),
    "A string has more than 1 MiB": long_string,
    "A point has 500 fields": wide,
    "`load --via restore`": restored,
    "`verify`, after a load": verified(samples=3, values=False),
    "`verify --values`, after a load": verified(values=True),
}


def stated() -> Table:
    """Return what the table of the page says, by case and version."""
    table: Table = {case: {} for case in CASES}
    case = ""
    for row in takewhile(lambda line: line.startswith("|"), PAGE.read_text().partition(HEADING)[2].splitlines()):
        name, servers, what = (cell.strip() for cell in row.strip("|").split("|"))
        case = name or case
        table[case] |= dict.fromkeys(servers.split("; "), what)
    return table


def write(table: Table) -> None:
    """Put the table into the page; servers of which the same is true share a row."""
    rows = []
    for case, found in table.items():
        name = case
        for what in dict.fromkeys(found[version] for version in SERVERS.values() if version in found):
            servers = [version for version in SERVERS.values() if found.get(version) == what]
            rows.append(f"| {name} | {'; '.join(servers)} | {what} |\n")
            name = ""
    before, heading, after = PAGE.read_text().partition(HEADING)
    others = dropwhile(lambda line: line.startswith("|"), after.splitlines(keepends=True))
    PAGE.write_text("".join([before, heading, *rows, *others]))


@pytest.mark.parametrize("kind", SERVERS)
def test_the_table_says_what_happens(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    """Each cell is what a load, a restore or a verification did, on that server or by its recorded replies."""
    subject = Real(request.getfixturevalue(FIXTURES[kind])) if kind in FIXTURES else Recorded()
    version = SERVERS[kind]
    if isinstance(subject, Real):
        assert subject.server.version == version
    else:
        assert f"{recorded('ping').headers['x-influxdb-version']}, recorded" == version
    found = {}
    for number, (name, case) in enumerate(CASES.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[name] = case(subject, folder)
    table = stated()
    if os.environ.get("LOADER_WRITE_TABLES"):
        write({name: {**table[name], version: what} for name, what in found.items()})
    assert found == {name: stated()[name].get(version) for name in CASES}


def test_the_table_has_each_case_once() -> None:
    """No row is left over from a case that is gone, and each case has all servers."""
    assert all(set(servers) == set(SERVERS.values()) for servers in stated().values())
