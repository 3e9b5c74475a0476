"""What InfluxDB 3 tells of its tables and files."""

from __future__ import annotations

import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError, Retryable, ServerError
from loader.servers.base import Bucket, Reply, Target
from loader.servers.field_types import find_types
from loader.servers.tables import Files, check_room, count_files, find_columns, find_extents, has_tables
from loader.servers.v2 import InfluxDB2
from loader.servers.v3 import InfluxDB3
from tests.recorded_core import composed, recorded

TARGET = Target("http://127.0.0.1:8181", "t3")
SCHEMA = PointSchema("tc", ("host",), (Field("v", FieldType.INTEGER),), "t")
NONE = recorded("no rows").reply
UNKNOWN = recorded("unknown database").reply


def wide(fields: int) -> PointSchema:
    """Return a schema of ``fields`` fields."""
    return PointSchema("m", (), tuple(Field(f"f{number}", FieldType.FLOAT) for number in range(fields)), "t")


def test_columns_have_types_of_fields_or_are_tags() -> None:
    """A tag is what Arrow calls a dictionary; a table that is not there has none."""
    found = find_columns(lambda request: recorded("columns").reply, TARGET, "tc")
    assert found == {"host": "tag", "newf": "integer", "newtag": "tag", "time": "time", "v": "integer"}
    for reply in (NONE, UNKNOWN):
        assert find_columns(lambda request, reply=reply: reply, TARGET, "tc") == {}  # type: ignore[misc]
    with pytest.raises(ServerError, match="unexpected form"):
        find_columns(lambda request: Reply(200, body=b"[]"), TARGET, "tc")


def test_types_of_fields_are_known_before_a_load() -> None:
    """So a load warns of fields that will be refused, and a verification of those that differ."""
    send = lambda request: recorded("columns").reply  # noqa: E731
    types = find_types(send, InfluxDB3(), TARGET, Bucket("t3"), SCHEMA)
    assert types == {"host": {"tag"}, "newf": {"integer"}, "newtag": {"tag"}, "time": {"time"}, "v": {"integer"}}


def test_files_have_times_and_a_number() -> None:
    """Without files there are no times."""
    rows = [{"min_time": 1704498600000000000, "max_time": 1704498600000000001}, {"min_time": -5, "max_time": 7}]
    found = find_extents(lambda request: composed(*rows).reply, TARGET, "dense")
    assert found.tolist() == [[1704498600000000000, 1704498600000000001], [-5, 7]]
    assert find_extents(lambda request: NONE, TARGET, "dense").shape == (0, 2)
    assert count_files(lambda request: composed({"n": 6000, "r": 12000}).reply, TARGET) == Files(6_000, 12_000)
    assert count_files(lambda request: composed({"n": 0}).reply, TARGET) == Files(0, 0)


def test_only_version_3_has_tables() -> None:
    """The others hold series."""
    assert has_tables(InfluxDB3())
    assert not has_tables(InfluxDB2())


def test_a_table_may_have_500_columns() -> None:
    """Time counts, and so do columns that the table has already."""
    replies = iter([NONE, composed({"n": 1_999}).reply])
    check_room(lambda request: next(replies), TARGET, [wide(499)])
    with pytest.raises(ConfigError, match="501 columns; InfluxDB 3 Core takes 500"):
        check_room(lambda request: UNKNOWN, TARGET, [wide(500)])
    with pytest.raises(ConfigError, match="503 columns, of which the server has 5"):
        check_room(lambda request: recorded("columns").reply, TARGET, [wide(498)])


def test_there_may_be_2000_tables() -> None:
    """Those of all databases count; where the server does not list them, it will say so itself."""
    two = [wide(1), SCHEMA]
    for answer, fits in ((composed({"n": 1_998}).reply, True), (composed({"n": 1_999}).reply, False)):
        replies = iter([NONE, NONE, answer])
        if fits:
            check_room(lambda request, replies=replies: next(replies), TARGET, two)  # type: ignore[misc]
            continue
        with pytest.raises(ConfigError, match="2 measurements are new, and the server has 1,999 tables"):
            check_room(lambda request, replies=replies: next(replies), TARGET, two)  # type: ignore[misc]
    replies = iter([NONE, NONE, recorded("query without a token").reply])
    check_room(lambda request: next(replies), TARGET, two)
    replies = iter([NONE, NONE, Reply(503)])
    with pytest.raises(Retryable):
        check_room(lambda request: next(replies), TARGET, two)


def test_a_tag_cannot_be_a_field_of_the_table() -> None:
    """All lines would be refused, so none is sent."""
    schema = PointSchema("tc", ("v",), (Field("w", FieldType.FLOAT),), "t")
    with pytest.raises(ConfigError, match="'v' is a tag in the dataset, and a field of type integer"):
        check_room(lambda request: recorded("columns").reply, TARGET, [schema])
