"""Fields that a server holds in another type than the dataset: verification says so, whatever their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.events import Event, Notice
from loader.servers.base import Target
from loader.verification import VerifyReport, VerifySettings, verify
from tests.fault_proxy import Answer, fault_proxy
from tests.tables import MOMENT, write_tables

COLUMNS = {
    FieldType.FLOAT: pa.array([3.0]),
    FieldType.INTEGER: pa.array([3]),
    FieldType.BOOLEAN: pa.array([True]),
    FieldType.STRING: pa.array(["3"]),
}
RIGHT = {FieldType.FLOAT: "3", FieldType.INTEGER: "3i", FieldType.BOOLEAN: "true", FieldType.STRING: '"3"'}


def verified(server: Any, root: Path, kind: FieldType, *lines: str, **changes: Any) -> VerifyReport:
    """Return what verification says of a dataset with one value, and of a server that holds ``lines``."""
    schema = PointSchema("m", ("t",), (Field("f", kind),), "time", "ns")
    write_tables(root, schema, {"p.parquet": pa.table({"t": ["x"], "f": COLUMNS[kind], "time": [MOMENT]})})
    bucket = server.new_bucket()
    path = f"/api/v2/write?org={server.org}&bucket={bucket}&precision=ns"
    server.call(path, "\n".join(lines).encode())
    target = Target(changes.pop("url", server.url), bucket, server.org, server.token)
    observe = changes.pop("observe", lambda event: None)
    return verify(VerifySettings(root, target, **changes), observe)


@pytest.mark.parametrize("values", [False, True])
@pytest.mark.parametrize(
    ("kind", "stored", "named"),
    [
        (FieldType.FLOAT, "3i", "integer"),
        (FieldType.INTEGER, "3", "float"),
        (FieldType.BOOLEAN, '"true"', "string"),
        (FieldType.STRING, "3", "float"),
        (FieldType.INTEGER, '"x"', "string"),
    ],
)
def test_a_field_of_another_type(
    influx: Any, tmp_path: Path, kind: FieldType, stored: str, named: str, values: bool
) -> None:
    """A value that reads the same in another type is a difference, which names both types."""
    report = verified(influx, tmp_path, kind, f"m,t=x f={stored} {MOMENT}", values=values)
    assert report.difference_count
    assert any(found.kind == "different" and named in found.detail for found in report.differences)


@pytest.mark.parametrize("kind", list(RIGHT))
def test_the_right_type(influx: Any, tmp_path: Path, kind: FieldType) -> None:
    """The same value in the right type is none."""
    assert verified(influx, tmp_path, kind, f"m,t=x f={RIGHT[kind]} {MOMENT}").differences == ()


def test_another_type_at_other_times(influx_v2: Any, tmp_path: Path) -> None:
    """InfluxDB 2 is asked when: another type outside of the dataset's times is none of its business."""
    report = verified(
        influx_v2,
        tmp_path,
        FieldType.INTEGER,
        f"m,t=x f=3i {MOMENT}",
        'm,t=x f="x" 1',
        "m,t=y f=1.5 1000000000000000000",
    )
    assert report.differences == ()


@pytest.mark.parametrize("answer", [Answer(403), Answer(200, b'{"content": [{"bucketID": "other"}]}')])
def test_a_server_that_does_not_tell(influx_v2: Any, tmp_path: Path, answer: Answer) -> None:
    """Where types cannot be asked for, that is said, and not called equal."""
    events: list[Event] = []
    with fault_proxy(influx_v2.url, lambda call: answer, watched=("/dbrps",)) as proxy:
        lines = f"m,t=x f=3i {MOMENT}"
        verified(influx_v2, tmp_path, FieldType.FLOAT, lines, url=proxy.url, observe=events.append)
    assert any(
        isinstance(event, Notice) and "equal values of another type are not seen" in event.message for event in events
    )
