"""SQL that asks InfluxDB 3, and what is read from answers that 3.10.1 gave."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, Refused, Retryable, ServerError
from loader.servers import sql
from loader.servers.base import AggregateQuery, PointsQuery, Reply, Target, TooManyFiles, WindowQuery
from loader.servers.frames import FIRST
from loader.servers.transport import Connection
from loader.servers.v3 import InfluxDB3
from tests.recorded_core import Exchange, composed, composed_parquet, recorded, recorded_core

TARGET = Target("http://127.0.0.1:8181", "t3", token="apiv3_x")
DAY = 86_400 * 10**9
V3 = InfluxDB3()
FIELDS = (
    Field("f", FieldType.FLOAT),
    Field("i", FieldType.INTEGER),
    Field("u", FieldType.UNSIGNED),
    Field("b", FieldType.BOOLEAN),
    Field("s", FieldType.STRING),
)
SCHEMA = PointSchema('a "b"', ("host", "it's"), FIELDS, "t")
WITHIN = 'FROM "a ""b""" WHERE time >= to_timestamp_nanos(0) AND time < to_timestamp_nanos(86400000000000)'


def text_of(request: sql.Request) -> str:
    """Return the SQL of a request."""
    return str(json.loads(request.body)["q"])


def aggregate(function: str, *fields: Field, columns: frozenset[str] | None = None) -> AggregateQuery:
    """Return a query of the day from 1970 on."""
    return AggregateQuery(SCHEMA, fields, function, 0, DAY, columns=columns)


def test_an_aggregate_is_computed_by_the_server() -> None:
    """Names are quoted, integers are added up as decimals, and days are whole numbers."""
    request = V3.build_aggregate(TARGET, aggregate("sum", FIELDS[1], FIELDS[2]))
    assert text_of(request) == (
        'SELECT "host" AS t0, "it\'s" AS t1, CAST(date_bin(INTERVAL \'1 day\', time) AS BIGINT) AS day,'
        ' sum(CAST("i" AS DECIMAL(38, 0))) AS v0, sum(CAST("u" AS DECIMAL(38, 0))) AS v1'
        f' {WITHIN} GROUP BY "host", "it\'s", date_bin(INTERVAL \'1 day\', time)'
    )
    assert json.loads(request.body)["format"] == "jsonl"
    assert request.headers["Authorization"] == "Bearer apiv3_x"
    assert 'sum("f") AS v0' in text_of(V3.build_aggregate(TARGET, aggregate("sum", FIELDS[0])))
    assert 'max("i") AS v0' in text_of(V3.build_aggregate(TARGET, aggregate("max", FIELDS[1])))


def test_columns_that_the_table_lacks_are_not_named() -> None:
    """The server answers 500 to a name that it does not have."""
    request = V3.build_aggregate(TARGET, aggregate("count", FIELDS[0], FIELDS[1], columns=frozenset({"time", "i"})))
    assert text_of(request) == (
        "SELECT CAST(date_bin(INTERVAL '1 day', time) AS BIGINT) AS day, count(\"i\") AS v1"
        f" {WITHIN} GROUP BY date_bin(INTERVAL '1 day', time)"
    )


def test_the_first_day_is_refused() -> None:
    """There the server's days have no beginning."""
    with pytest.raises(ConfigError, match="1677-09-21"):
        V3.build_aggregate(TARGET, AggregateQuery(SCHEMA, FIELDS[:1], "count", FIRST, DAY))


def test_sums_of_integers_are_exact() -> None:
    """Decimals, as the server gave them, are wrapped at 64 bits, like the sums of the dataset."""
    d, s = (json.loads(recorded(name).body) for name in ("sum of integers", "sum of unsigned"))
    reply = composed({"day": 0, "v0": d["d"]}).reply
    found = V3.parse_aggregate(aggregate("sum", FIELDS[1]), reply)
    # The server's own sum of integers wraps in the same way.
    assert found["value"].to_list() == [json.loads(recorded("sum that wraps").body)["s"]]
    reply = composed({"day": 0, "v0": s["s"]}).reply
    found = V3.parse_aggregate(aggregate("sum", FIELDS[2]), reply)
    assert (found["value"].to_list(), found["value"].dtype) == ([3984496719921263018484 % 2**64], pl.UInt64)


def test_absent_tags_and_values_are_left_out() -> None:
    """A tag that is null is empty; a count of 0, and what has no value, is no row."""
    reply = composed(
        {"t0": "1", "t1": "2", "day": 0, "v0": 1, "v1": 0}, {"t0": "1", "day": 0, "v0": 2}, {"day": DAY, "v1": 3}
    ).reply
    found = V3.parse_aggregate(aggregate("count", *FIELDS[:2]), reply).sort("value")
    assert found.rows() == [("1", "2", 0, 0, 1), ("1", "", 0, 0, 2), ("", "", 1, DAY, 3)]
    assert [list(row) for row in sql.read_rows(recorded("sums by tags").reply)] == [
        ["a", "b", "n", "s"],
        ["a", "n", "s"],
        ["n", "s"],
    ]


def test_floats_are_read_bit_for_bit() -> None:
    """Also those that the server writes like 1.0e21; one that is infinite is null, and so no value."""
    for row in json.loads(recorded("floats").body):
        reply = Reply(200, body=b'{"day":0,"v0":' + json.dumps(row["f"]).encode() + b"}\n")
        assert V3.parse_aggregate(aggregate("max", FIELDS[0]), reply)["value"].to_list() == [row["f"]]
    reply = Reply(200, body=b'{"day":0,"v0":null}\n')
    assert V3.parse_aggregate(aggregate("max", FIELDS[0]), reply).is_empty()


def test_points_of_a_series() -> None:
    """Each tag is compared, with its quotes doubled; one that is empty may also be absent."""
    query = PointsQuery(SCHEMA, ("o'k", ""), 0, DAY)
    request = V3.build_points(TARGET, query)
    assert text_of(request) == (
        'SELECT time, "f" AS f0, "i" AS f1, "u" AS f2, "b" AS f3, "s" AS f4'
        f" {WITHIN} AND \"host\" = 'o''k' AND (\"it's\" IS NULL OR \"it's\" = '')"
    )
    assert json.loads(request.body)["format"] == "parquet"
    lacking = PointsQuery(SCHEMA, ("a", ""), 0, DAY, frozenset({"f", "time"}))
    assert text_of(V3.build_points(TARGET, lacking)) == f'SELECT time, "f" AS f0 {WITHIN} AND FALSE'


def test_points_are_read_from_parquet() -> None:
    """Times are exact, text is bytes, a column that is missing is null, and points of other fields are left out."""
    frame = pl.DataFrame({"time": [2, 1, 3], "f0": [-0.0, None, None], "f4": ["é", "x", None]})
    reply = composed_parquet(frame).reply
    found = V3.parse_points(PointsQuery(SCHEMA, ("", ""), 0, DAY), reply)
    assert found.columns == ["time", "f0", "f1", "f2", "f3", "f4"]
    assert found["time"].to_list() == [1, 2]
    assert found["f4"].to_list() == [b"x", "é".encode()]
    assert str(found["f0"].to_list()) == "[None, -0.0]"
    empty = V3.parse_points(PointsQuery(SCHEMA, ("", ""), 0, DAY), recorded("no rows, Parquet").reply)
    assert (empty.height, empty.schema) == (0, found.schema)


def test_points_of_a_window() -> None:
    """All series come in one answer, with tags that are empty where the server has none."""
    query = WindowQuery(SCHEMA, 0, DAY, columns=frozenset({"host", "f", "time"}))
    assert text_of(V3.build_window(TARGET, query)) == f'SELECT time, "host" AS t0, "f" AS f0 {WITHIN}'
    some = text_of(V3.build_window(TARGET, replace(query, times=(5, DAY))))
    assert some == f'SELECT time, "host" AS t0, "f" AS f0 {WITHIN} AND time IN (to_timestamp_nanos(5))'
    assert text_of(V3.build_window(TARGET, replace(query, times=(DAY,)))).endswith(" AND time IN (NULL)")
    frame = pl.DataFrame({"time": [2, 1], "t0": ["b", None], "f0": [1.5, 2.5]})
    found = V3.parse_window(query, composed_parquet(frame).reply)
    assert found.select("time", "t0", "t1", "f0").rows() == [(2, "b", "", 1.5), (1, "", "", 2.5)]


@pytest.mark.parametrize("name", ["unknown table", "unknown database", "no rows"])
def test_what_is_not_there_has_no_points(name: str) -> None:
    """A table comes into being with its first line."""
    assert V3.parse_aggregate(aggregate("count", FIELDS[0]), recorded(name).reply).is_empty()


def test_too_many_files_are_asked_for_in_parts() -> None:
    """The words differ between versions; the status is that of a server that fails."""
    older = Reply(500, body=b"External error: Query would exceed file limit of 432 parquet files.")
    for reply in (recorded("file limit").reply, older):
        with pytest.raises(TooManyFiles):
            V3.parse_aggregate(aggregate("count", FIELDS[0]), reply)


@pytest.mark.parametrize(
    ("name", "kind", "words", "hint"),
    [
        ("unknown column", Refused, "No field named nosuch", ""),
        ("duplicate name", Refused, "duplicate unqualified field", ""),
        ("query of a poisoned table", ServerError, "must have the same length", "one tag key twice"),
        ("query after one tag key twice", ServerError, "must have the same length", "one tag key twice"),
        ("query without a token", Refused, "not authenticated", "token"),
    ],
)
def test_errors_that_stay_are_not_asked_again(name: str, kind: type[ServerError], words: str, hint: str) -> None:
    """A status of 500 does not mean here that it may pass."""
    with pytest.raises(kind, match=words) as caught:
        V3.parse_aggregate(aggregate("count", FIELDS[0]), recorded(name).reply)
    assert not isinstance(caught.value, Retryable)
    assert hint in caught.value.hint


def test_an_error_that_may_pass_is_asked_again() -> None:
    """Any other 500 is one."""
    with pytest.raises(Retryable):
        V3.parse_fields(Reply(500, body=b"out of memory"))


def test_an_answer_that_is_cut_short_is_an_error() -> None:
    """The status is 200 by then; only the end of the body is missing."""
    cut = recorded("cut short")
    assert (cut.status, cut.cut) == (200, True)
    for body in (b"", composed({"n": 1}).body):
        with (
            recorded_core(lambda asked, body=body: Exchange(200, cut.headers, body, cut=True)) as core,  # type: ignore[misc]
            Connection(core.target, 5.0) as connection,
            pytest.raises(Retryable, match="the connection broke"),
        ):
            connection.send(sql.build_query(core.target, "SELECT 1/(i-i) FROM agg"))


def test_field_keys_are_columns_without_tags_and_time() -> None:
    """They are those of all times."""
    request = V3.build_fields(TARGET, SCHEMA, 0, DAY)
    assert "table_name = 'a \"b\"'" in text_of(request)
    assert V3.parse_fields(recorded("columns").reply) == ["host", "newf", "newtag", "time", "v"]
