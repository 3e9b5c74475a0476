"""Parquet of others where it lies: loaded, verified, and read back by the server's own query."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.mapping import ColumnMapping, FieldMapping
from loader.dataset.policy import Policy
from loader.dataset.schema import FieldType
from loader.errors import ConfigError, EncodeError, StageError
from loader.events import Event, Notice
from loader.loading import LoadReport, LoadSettings, load
from loader.reporting.status import read_status
from loader.servers.base import Target
from loader.staging import FilesSettings, stage_files
from loader.verification import VerifyReport, VerifySettings, verify
from tests.stored import ask

SECOND = 1_704_067_200
"""2024-01-01T00:00:00Z."""
NOON = time(12)
COLUMNS: dict[str, pa.Array] = {
    "half": pa.array([0.5, None, -2.0], pa.float16()),
    "single": pa.array([0.1, None, -1e30], pa.float32()),
    "double": pa.array([0.1, 5e-324, None]),
    "small": pa.array([-128, None, 127], pa.int8()),
    "large": pa.array([-(2**63), None, 2**63 - 1]),
    "word": pa.array([0, None, 2**32 - 1], pa.uint32()),
    "truth": pa.array([True, None, False]),
    "text": pa.array(['a "b" \\', None, "é, =\n"]),
    "view": pa.array(["x", None, ""], pa.string_view()),
    "code": pa.array(["up", None, "down"]).dictionary_encode(),
    "price": pa.array([Decimal("1.10"), None, Decimal("-20.05")], pa.decimal128(18, 2)),
    "tiny": pa.array([Decimal("0.000000000000000001"), None, Decimal("1.000000000000001")], pa.decimal128(38, 18)),
    "day": pa.array([date(2024, 1, 31), None, date(1969, 12, 31)]),
    "milliday": pa.array([date(2024, 1, 31), None, date(1969, 12, 31)], pa.date64()),
    "moment": pa.array([SECOND * 1_000 + 1, None, -1], pa.timestamp("ms", tz="Europe/Berlin")),
    "wait": pa.array([timedelta(seconds=90), None, timedelta(seconds=-1)], pa.duration("s")),
    "clock": pa.array([NOON, None, time(0, 0, 1)], pa.time32("s")),
}
"""A column of each type, in rows 0 to 2."""
STORED: dict[str, list[Any]] = {
    "half": [0.5, None, -2.0],
    "single": [0.10000000149011612, None, -1.0000000150474662e30],
    "double": [0.1, 5e-324, None],
    "small": [-128, None, 127],
    "large": [-(2**63), None, 2**63 - 1],
    "word": [0, None, 2**32 - 1],
    "truth": [True, None, False],
    "text": ['a "b" \\', None, "é, =\n"],
    "view": ["x", None, ""],
    "code": ["up", None, "down"],
    "price": [1.1, None, -20.05],
    "tiny": [1e-18, None, 1.000000000000001],
    "day": ["2024-01-31", None, "1969-12-31"],
    "milliday": ["2024-01-31", None, "1969-12-31"],
    "moment": [SECOND * 10**9 + 10**6, None, -(10**6)],
    "wait": [90 * 10**9, None, -(10**9)],
    "clock": [12 * 3_600 * 10**9, None, 10**9],
}
"""What a server has of them."""
TAGS: dict[str, pa.Array] = {
    "t_int": pa.array([-1, 7, None], pa.int16()),
    "t_bool": pa.array([True, False, None]),
    "t_day": pa.array([date(2024, 1, 31), None, date(1969, 12, 31)]),
    "t_price": pa.array([Decimal("1.10"), None, Decimal("-0.05")], pa.decimal128(10, 2)),
    "t_code": pa.array([5, 5, None], pa.int32()).dictionary_encode(),
}
TAGGED = [["-1", "true", "2024-01-31", "1.10", "5"], ["7", "false", "", "", "5"], ["", "", "1969-12-31", "-0.05", ""]]
TIMES = pa.array([SECOND, SECOND + 1, SECOND + 2], pa.timestamp("s", tz="UTC"))


def put(path: Path, **columns: Any) -> Path:
    """Write a file of Parquet, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def target(server: Any, bucket: str) -> Target:
    """Return the bucket as a target."""
    return Target(server.url, bucket, server.org, server.token)


def loaded(server: Any, path: Path, bucket: str, **changes: Any) -> LoadReport:
    """Load ``path``."""
    return load(LoadSettings(path, target(server, bucket), **changes))


def verified(server: Any, path: Path, bucket: str, **changes: Any) -> VerifyReport:
    """Verify ``path``."""
    return verify(VerifySettings(path, target(server, bucket), **changes))


def ways(server: Any) -> list[str]:
    """Return the ways into a server."""
    return ["write", "restore"] if server.version.startswith("2") else ["write"]


def test_every_type_as_a_field(influx: Any, tmp_path: Path) -> None:
    """What has a form is stored in it, by either way; the server, verification and every value agree."""
    path = put(tmp_path / "types.parquet", time=TIMES, **COLUMNS)
    for way in ways(influx):
        bucket = f"fields-{way}-{tmp_path.name}"
        report = loaded(influx, path, bucket, via=way, mapping=ColumnMapping("types", "time"))
        assert (report.rows_acknowledged, report.rows_rejected) == (3, 0)
        names = ", ".join(f'"{name}"' for name in STORED)
        rows = ask(influx, bucket, f"SELECT {names} FROM types")["series"][0]["values"]
        assert [row[0] for row in rows] == [(SECOND + number) * 10**9 for number in range(3)]
        found = {name: [row[1 + number] for row in rows] for number, name in enumerate(STORED)}
        assert found == STORED
        assert verified(influx, path, bucket).differences == ()
        assert verified(influx, path, bucket, values=True).differences == ()


def test_types_as_tags(influx: Any, tmp_path: Path) -> None:
    """Integers, booleans, dates and decimals are tags by the text that the table says; null is no tag."""
    path = put(tmp_path / "tags.parquet", time=TIMES, f=pa.array([1.0, 2.0, 3.0]), **TAGS)
    for way in ways(influx):
        bucket = f"tags-{way}-{tmp_path.name}"
        loaded(influx, path, bucket, via=way, mapping=ColumnMapping("m", "time", tuple(TAGS)))
        names = ", ".join(f'"{name}"' for name in TAGS)
        rows = ask(influx, bucket, f"SELECT f, {names} FROM m")["series"][0]["values"]
        assert [[text or "" for text in row[2:]] for row in rows] == TAGGED
        assert verified(influx, path, bucket).differences == ()
        assert verified(influx, path, bucket, values=True).differences == ()


def test_local_times(influx: Any, tmp_path: Path) -> None:
    """Times without a zone are those of the zone that is named, also as fields, over a change of clocks."""
    summer = pa.array([1_719_792_000, 1_719_792_001], pa.timestamp("s"))  # 2024-07-01T00:00:00
    path = put(tmp_path / "local.parquet", time=summer, left=summer)
    for way in ways(influx):
        bucket = f"local-{way}-{tmp_path.name}"
        mapping = ColumnMapping("m", "time", policy=Policy("Europe/Berlin"))
        loaded(influx, path, bucket, via=way, mapping=mapping)
        (first, _) = ask(influx, bucket, "SELECT left FROM m")["series"][0]["values"]
        assert first == [(1_719_792_000 - 7_200) * 10**9] * 2
        assert verified(influx, path, bucket).differences == ()
        assert verified(influx, path, bucket, values=True).differences == ()


@pytest.mark.parametrize(("ambiguous", "hours"), [("earliest", 2), ("latest", 1)])
def test_a_local_time_that_there_is_twice(influx_v2: Any, tmp_path: Path, ambiguous: str, hours: int) -> None:
    """It is refused with row and value, unless the earlier or the later instant is to count."""
    twice = pa.array([SECOND, 1_729_996_200], pa.timestamp("s"))  # 2024-10-27T02:30:00
    path = put(tmp_path / "twice.parquet", time=twice, x=pa.array([1, 2]))
    bucket = f"twice-{tmp_path.name}"
    with pytest.raises(
        EncodeError, match=r"twice.parquet, row 1, column 'time': 2024-10-27 02:30:00 is twice in Europe"
    ):
        loaded(influx_v2, path, bucket, mapping=ColumnMapping("m", "time", policy=Policy("Europe/Berlin")))
    mapping = ColumnMapping("m", "time", policy=Policy("Europe/Berlin", ambiguous))
    loaded(influx_v2, path, bucket, mapping=mapping)
    rows = ask(influx_v2, bucket, "SELECT x FROM m")["series"][0]["values"]
    assert rows[1] == [(1_729_996_200 - 3_600 * hours) * 10**9, 2]
    assert verified(influx_v2, path, bucket, values=True).differences == ()


def test_both_passes_of_an_hour_in_place(influx_v2: Any, tmp_path: Path) -> None:
    """A choice that makes them collide is named as the cause; staged by their order, all points arrive as they were."""
    start = 1_729_987_200  # 2024-10-27T00:00:00, two hours before the first 02:00
    steps = [start + quarter * 900 for quarter in (*range(12), *range(8, 20))]
    instants = [step - 7_200 if number < 12 else step - 3_600 for number, step in enumerate(steps)]
    path = put(tmp_path / "twice.parquet", time=pa.array(steps, pa.timestamp("s")), x=pa.array(range(24)))
    bucket = f"both-{tmp_path.name}"
    mapping = ColumnMapping("m", "time", policy=Policy("Europe/Berlin", "earliest"))
    with pytest.raises(ConfigError, match="lie where Europe/Berlin has each local time twice") as caught:
        loaded(influx_v2, path, bucket, mapping=mapping)
    assert caught.value.hint.startswith(f"stage the files: loader stage --from {path}")
    inferred = replace(mapping, policy=Policy("Europe/Berlin", "infer"))
    stage_files(FilesSettings(tmp_path / "out", (path,), inferred))
    loaded(influx_v2, tmp_path / "out", bucket)
    rows = ask(influx_v2, bucket, "SELECT x FROM m")["series"][0]["values"]
    assert rows == [[instant * 10**9, x] for x, instant in enumerate(instants)]
    assert verified(influx_v2, tmp_path / "out", bucket, values=True).differences == ()


def test_a_local_time_that_there_is_not(influx_v2: Any, tmp_path: Path) -> None:
    """When clocks go forward, an hour is no time: nothing is made."""
    path = put(tmp_path / "none.parquet", time=pa.array([1_711_852_200], pa.timestamp("s")), x=pa.array([1]))
    mapping = ColumnMapping("m", "time", policy=Policy("Europe/Berlin", "earliest"))
    with pytest.raises(EncodeError, match=r"row 0, column 'time': 2024-03-31 02:30:00 is no time in Europe/Berlin"):
        loaded(influx_v2, path, f"none-{tmp_path.name}", mapping=mapping)
    assert not (tmp_path / ".loader").exists()


def test_a_local_time_that_there_is_not_is_skipped(influx_v2: Any, tmp_path: Path) -> None:
    """On demand a row of such a time is rejected, and such a field left out."""
    gap, after = 1_711_852_200, 1_711_857_600
    times = pa.array([gap, after, after + 1], pa.timestamp("s"))
    path = put(tmp_path / "gap.parquet", time=times, x=times.take(pa.array([1, 0, 1])), y=pa.array([1, 2, 3]))
    mapping = ColumnMapping("m", "time", policy=Policy("Europe/Berlin", nonexistent="skip"))
    report = loaded(influx_v2, path, f"gap-{tmp_path.name}", mapping=mapping)
    assert (report.rows_acknowledged, report.rows_rejected) == (2, 1)
    rows = ask(influx_v2, f"gap-{tmp_path.name}", "SELECT x, y FROM m")["series"][0]["values"]
    assert [row[1:] for row in rows] == [[None, 2], [(after - 7_200) * 10**9, 3]]
    for values in (False, True):
        found = verified(influx_v2, path, f"gap-{tmp_path.name}", values=values)
        assert (found.unfit, found.difference_count) == (1, 0)


def test_non_finite_values_are_rejected_or_left_out(influx: Any, tmp_path: Path) -> None:
    """Their rows are rejected; with skip the other fields of a row are stored, and a row without any is not."""
    odd = pa.array([float("nan"), 1.0, float("inf")])
    path = put(tmp_path / "odd.parquet", time=TIMES, x=odd, y=pa.array([1, 2, None]))
    for way in ways(influx):
        bucket = f"odd-{way}-{tmp_path.name}"
        assert loaded(influx, path, bucket, via=way, mapping=ColumnMapping("m", "time")).rows_rejected == 2
        assert verified(influx, path, bucket, values=True).unfit == 2
        bucket = f"skipped-{way}-{tmp_path.name}"
        mapping = ColumnMapping("m", "time", policy=Policy(non_finite="skip"))
        report = loaded(influx, path, bucket, via=way, mapping=mapping)
        assert (report.rows_rejected, report.values_not_finite) == (1, 2)
        rows = ask(influx, bucket, "SELECT x, y FROM m")["series"][0]["values"]
        assert [row[1:] for row in rows] == [[None, 1], [1.0, 2]]
        for values in (False, True):
            told = verified(influx, path, bucket, values=values)
            assert (told.differences, [group.column for group in told.unfit_rows]) == ((), ["x, y"])


def test_unsigned_integers(influx: Any, tmp_path: Path) -> None:
    """They are unsigned where the server takes that, or what is said of them, when each of them fits."""
    path = put(tmp_path / "u.parquet", time=TIMES, u=pa.array([0, 2**63 - 1, 1], pa.uint64()))
    big = put(tmp_path / "big.parquet", time=TIMES, u=pa.array([0, 2**64 - 1, 1], pa.uint64()))
    whole, text = (ColumnMapping("m", "time", unsigned=kind) for kind in ("integer", "string"))
    for way in ways(influx):
        bucket = f"signed-{way}-{tmp_path.name}"
        loaded(influx, path, bucket, via=way, mapping=whole)
        assert ask(influx, bucket, "SELECT u FROM m")["series"][0]["values"][1][1] == 2**63 - 1
        assert verified(influx, path, bucket, values=True).differences == ()
        with pytest.raises(EncodeError, match=r"big.parquet, row 1, column 'u': 18446744073709551615 is beyond"):
            loaded(influx, big, f"big-{way}-{tmp_path.name}", via=way, mapping=whole)
        bucket = f"text-{way}-{tmp_path.name}"
        loaded(influx, big, bucket, via=way, mapping=text)
        assert ask(influx, bucket, "SELECT u FROM m")["series"][0]["values"][1][1] == str(2**64 - 1)
        assert verified(influx, big, bucket, values=True).differences == ()
        if influx.version.startswith("2"):
            bucket = f"unsigned-{way}-{tmp_path.name}"
            loaded(influx, big, bucket, via=way, mapping=ColumnMapping("m", "time"))
            assert verified(influx, big, bucket, values=True).differences == ()


def test_a_planted_difference_is_found(influx_v2: Any, tmp_path: Path) -> None:
    """A converted value that the server has otherwise is a difference, in sums and among all values."""
    path = put(
        tmp_path / "p.parquet", time=TIMES, price=COLUMNS["price"].fill_null(Decimal("3.00")), host=pa.array([1, 1, 1])
    )
    bucket = f"planted-{tmp_path.name}"
    loaded(influx_v2, path, bucket, mapping=ColumnMapping("m", "time", ("host",)))
    line = f"m,host=1 price=1.11 {SECOND * 10**9}"
    influx_v2.call(f"/api/v2/write?org={influx_v2.org}&bucket={bucket}&precision=ns", line.encode())
    for values in (False, True):
        found = verified(influx_v2, path, bucket, values=values).differences
        assert {(difference.kind, difference.field) for difference in found} == {("different", "price")}


def test_files_that_differ(influx: Any, tmp_path: Path) -> None:
    """Columns that some files lack, other orders and types, and keys of paths are one dataset when nothing is lost."""
    root = tmp_path / "hive"
    put(root / "symbol=A%2F" / "1.parquet", time=TIMES, x=pa.array([1, 2, 3]), n=pa.nulls(3), host=["a", "b", None])
    put(root / "symbol=B" / "1.parquet", x=pa.array([0.5, 2.0, 3.0]), time=TIMES, n=pa.array([1, None, 2], pa.int32()))
    last = "symbol=__HIVE_DEFAULT_PARTITION__"
    put(root / last / "1.parquet", x=pa.array([7, 8, 9], pa.uint16()), time=TIMES)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}
    for way in ways(influx):
        bucket = f"hive-{way}-{tmp_path.name}"
        loaded(influx, root, bucket, via=way, mapping=ColumnMapping("m", "time", ("symbol", "host")))
        found = ask(influx, bucket, "SELECT x, n, symbol, host FROM m")["series"][0]["values"]
        assert sorted([row[1:] for row in found], key=str) == sorted(
            [
                *([1.0 + number, None, "A/", host] for number, host in enumerate(("a", "b", None))),
                *([value, number, "B", None] for value, number in ((0.5, 1), (2.0, None), (3.0, 2))),
                *([7.0 + number, None, None, None] for number in range(3)),
            ],
            key=str,
        )
        assert verified(influx, root, bucket).differences == ()
        assert verified(influx, root, bucket, values=True).differences == ()
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*.parquet")}


def test_measurements_by_a_key_of_the_paths(influx: Any, tmp_path: Path) -> None:
    """Each measurement is loaded with its own columns, and verified without another word of it."""
    root = tmp_path / "hive"
    put(root / "kind=cpu" / "1.parquet", time=TIMES, x=pa.array([1, 2, 3]), host=["a", "b", None])
    put(root / "kind=my disk" / "1.parquet", time=TIMES, x=pa.array([0.5, 1.5, 2.5]), mount=["/", "/", "/x"])
    mapping = ColumnMapping("", "time", ("host", "mount"), measurement_column="kind")
    for way in ways(influx):
        bucket = f"measured-{way}-{tmp_path.name}"
        loaded(influx, root, bucket, via=way, mapping=mapping)
        found = ask(influx, bucket, "SELECT x, host FROM cpu")
        assert [row[1:] for row in found["series"][0]["values"]] == [[1, "a"], [2, "b"], [3, None]]
        assert verified(influx, root, bucket).differences == ()
        report = verified(influx, root, bucket, values=True)
        assert (report.differences, report.values, report.measurements) == ((), 6, {"cpu": 3, "my disk": 3})


@pytest.mark.parametrize("way", ["write", "restore"])
def test_duplicates_are_refused_or_the_last_counts(influx_v2: Any, tmp_path: Path, way: str) -> None:
    """Rows of one identity over two files stop a load before anything is made, unless the last is to count."""
    root, bucket = tmp_path / "twice", f"twice-{way}-{tmp_path.name}"
    put(root / "a.parquet", time=TIMES, x=pa.array([1, 2, 3]), y=pa.array([1, None, None]))
    put(root / "b.parquet", time=TIMES.take(pa.array([2, 0])), x=pa.array([30, None]), y=pa.array([None, 5]))
    mapping = ColumnMapping("m", "time")
    with pytest.raises(ConfigError, match=r"2 values .* a.parquet row 0 and b.parquet row 1 \(2024-01-01T00:00:00"):
        loaded(influx_v2, root, bucket, via=way, mapping=mapping)
    assert bucket not in influx_v2.call("/api/v2/buckets?limit=100").decode()
    with pytest.raises(ConfigError, match="which of its columns are tags, fields and time is not known"):
        loaded(influx_v2, root, bucket, via=way, on_duplicate="last")
    report = loaded(influx_v2, root, bucket, via=way, on_duplicate="last", mapping=mapping)
    status = read_status(root)
    assert (status.rows, status.adopted) == (5, True)
    assert report.rows_done == 5
    rows = ask(influx_v2, bucket, "SELECT x, y FROM m")["series"][0]["values"]
    assert [row[1:] for row in rows] == [[1, 5], [2, None], [30, None]]
    for values in (False, True):
        found = verified(influx_v2, root, bucket, values=values)
        assert (found.differences, found.superseded) == ((), 2)


def test_a_stop_while_duplicates_are_looked_for(influx_v2: Any, tmp_path: Path) -> None:
    """A load that was stopped by then makes no bucket; the next one does it all."""
    path, bucket = put(tmp_path / "x.parquet", time=TIMES, x=pa.array([1, 2, 3])), f"stopped-{tmp_path.name}"
    stop = threading.Event()
    stop.set()
    settings = LoadSettings(path, target(influx_v2, bucket), mapping=ColumnMapping("m", "time"))
    assert load(settings, stop=stop).interrupted
    assert bucket not in influx_v2.call("/api/v2/buckets?limit=100").decode()
    assert load(settings).rows_acknowledged == 3


def test_rows_are_not_looked_through_when_they_are_said_to_be_distinct(influx_v2: Any, tmp_path: Path) -> None:
    """Then they all go to the server, which keeps the last."""
    path = put(tmp_path / "x.parquet", time=TIMES.take(pa.array([0, 0])), x=pa.array([1, 2]))
    bucket = f"assumed-{tmp_path.name}"
    report = loaded(influx_v2, path, bucket, mapping=ColumnMapping("m", "time"), assume_distinct=True)
    assert (report.rows_acknowledged, report.rows_skipped) == (2, 0)
    assert ask(influx_v2, bucket, "SELECT x FROM m")["series"][0]["values"] == [[SECOND * 10**9, 2]]


def test_a_file_that_changed_is_said_to_have(influx_v2: Any, tmp_path: Path) -> None:
    """Neither a resumed load nor a verification takes it for what was loaded; a restart takes it as it is."""
    path, bucket = tmp_path / "x.parquet", f"changed-{tmp_path.name}"
    put(path, time=TIMES, x=pa.array([1, 2, 3]))
    loaded(influx_v2, path, bucket, mapping=ColumnMapping("m", "time"))
    put(path, time=TIMES, x=pa.array([1, 2, 4]))
    with pytest.raises(StageError, match=r"x\.parquet: has changed since it was loaded first"):
        loaded(influx_v2, path, bucket)
    with pytest.raises(StageError, match=r"x\.parquet: has changed since it was loaded first"):
        verified(influx_v2, path, bucket)
    assert loaded(influx_v2, path, bucket, restart=True).rows_done == 3
    assert verified(influx_v2, path, bucket, values=True).differences == ()


def test_a_file_that_came_since_is_loaded_too(influx_v2: Any, tmp_path: Path) -> None:
    """The next month in the same folder needs no mapping again; that a file is gone is said."""
    root, bucket = tmp_path / "months", f"months-{tmp_path.name}"
    put(root / "1.parquet", time=TIMES, x=pa.array([1, 2, 3]))
    loaded(influx_v2, root, bucket, mapping=ColumnMapping("m", "time"))
    put(root / "2.parquet", time=pa.array([SECOND + 86_400 * 40], TIMES.type), x=pa.array([4]))
    report = loaded(influx_v2, root, bucket)
    assert (report.rows, report.rows_done) == (4, 4)
    assert verified(influx_v2, root, bucket, values=True).differences == ()
    (root / "1.parquet").unlink()
    events: list[Event] = []
    load(LoadSettings(root, target(influx_v2, bucket)), events.append)
    assert any(isinstance(event, Notice) and "1 file is gone (1.parquet)" in event.message for event in events)


def test_another_mapping_in_between(influx_v2: Any, tmp_path: Path) -> None:
    """What another mapping has overwritten is sent again, though it was acknowledged once."""
    path = put(tmp_path / "x.parquet", time=TIMES, a=pa.array([1, 2, 3]), b=pa.array([7, 8, 9]))
    first, second = (ColumnMapping("m", "time", fields=(FieldMapping(name, "x"),)) for name in "ab")
    for mapping in (first, second, first):
        assert loaded(influx_v2, path, tmp_path.name, mapping=mapping).rows_done == 3
        assert verified(influx_v2, path, tmp_path.name, values=True).differences == ()
    assert loaded(influx_v2, path, tmp_path.name).rows_done == 0


def test_the_state_may_lie_elsewhere(influx_v2: Any, tmp_path: Path) -> None:
    """With --state, nothing is written beside the files, which a pattern names; fields get other names and types."""
    put(tmp_path / "in" / "a-1.parquet", time=TIMES, x=pa.array([1, 2, 3]))
    put(tmp_path / "in" / "b-1.parquet", time=TIMES, x=pa.array([7, 8, 9]))
    path, state, bucket = tmp_path / "in" / "a-*.parquet", tmp_path / "state", f"state-{tmp_path.name}"
    mapping = ColumnMapping("m", "time", fields=(FieldMapping("x", "speed", FieldType.FLOAT),))
    assert loaded(influx_v2, path, bucket, mapping=mapping, state=state).rows == 3
    assert sorted(entry.name for entry in (tmp_path / "in").iterdir()) == ["a-1.parquet", "b-1.parquet"]
    assert ask(influx_v2, bucket, "SELECT * FROM m")["series"][0]["columns"] == ["time", "speed"]
    assert verified(influx_v2, path, bucket, values=True, state=state).differences == ()
    manifest = json.loads((state / ".loader" / "manifest.json").read_text())
    assert manifest["settings"]["mapping"]["fields"] == ["x=speed:float"]


def test_dates_and_integers_as_times(influx: Any, tmp_path: Path) -> None:
    """A day is its midnight in UTC; integers have the unit that is said."""
    days = put(tmp_path / "days.parquet", time=pa.array([date(2024, 1, 1), date(1969, 12, 31)]), x=pa.array([1, 2]))
    whole = put(tmp_path / "whole.parquet", time=pa.array([SECOND * 1_000, -1]), x=pa.array([1, 2]))
    cases = [(days, "", [-86_400 * 10**9, SECOND * 10**9]), (whole, "ms", [-(10**6), SECOND * 10**9])]
    for path, unit, times in cases:
        for way in ways(influx):
            bucket = f"{path.stem}-{way}-{tmp_path.name}"
            loaded(influx, path, bucket, via=way, mapping=ColumnMapping("m", "time", time_unit=unit))
            assert [row[0] for row in ask(influx, bucket, "SELECT x FROM m")["series"][0]["values"]] == times
            assert verified(influx, path, bucket, values=True).differences == ()
