"""What docs/own-data.md says of rows holds on real servers, by either way in."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.dataset.mapping import ColumnMapping
from loader.dataset.policy import Policy
from loader.errors import ConfigError
from loader.loading import LoadSettings, load
from loader.verification import VerifySettings, verify
from tests.documented import examples, table
from tests.on_servers.ways import NAMES, WAYS, way_into
from tests.reference import decode
from tests.stored import ask

TYPES = {"host": pa.string(), "x": pa.float64(), "y": pa.float64(), "time": pa.int64()}
NOTHING = dict.fromkeys(TYPES)
OTHER = {"host": "other", "x": 0.0, "y": 0.0, "time": 1}
"""A row that is stored in any case, so that there is something to load."""


@pytest.fixture(params=WAYS, ids=NAMES)
def begin(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., tuple[Any, LoadSettings]]:
    """Return a function that gives a server, and settings to load into a new bucket, for each way in."""
    return lambda **changes: way_into(request, tmp_path / "x.parquet", "rows", **changes)


def put(path: Path, cell: str) -> None:
    """Write the rows of the examples in ``cell``."""
    rows = [NOTHING | eval(f"dict({example})", {"nan": nan}) for example in examples(cell)] + [OTHER]
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in TYPES.items()}
    columns["time"] = columns["time"].cast(pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table(columns), path)


def stored(server: Any, bucket: str) -> list[tuple[Any, ...]]:
    """Return host, x, y and time of all points but that of OTHER."""
    rows = ask(server, bucket, "SELECT x, y FROM m GROUP BY host")["series"]
    return [
        (series["tags"]["host"], *values[1:], values[0])
        for series in rows
        for values in series["values"]
        if series["tags"]["host"] != OTHER["host"]
    ]


@pytest.mark.parametrize(("words", "cell", "becomes"), table("A row"))
def test_rows(
    begin: Callable[..., tuple[Any, LoadSettings]], tmp_path: Path, words: str, cell: str, becomes: str
) -> None:
    """A row is rejected, refused or stored as the table says, with and without the flag that it names."""
    put(tmp_path / "x.parquet", cell)
    mapping = ColumnMapping("m", "time", ("host",))
    lines = examples(becomes)
    rule = "nudge" if "`--on-duplicate nudge`" in words else "fail"
    server, settings = begin(mapping=mapping, on_duplicate=rule)
    if "refused" in becomes:
        with pytest.raises(ConfigError, match="1 value belongs to a row with the same series and time"):
            load(settings)
        server, settings = begin(mapping=mapping, on_duplicate="last")
    elif "rejected" in becomes:
        report = load(settings)
        assert (report.rows_rejected, report.rows_acknowledged) == (1, 1)
        assert stored(server, settings.target.bucket) == []
        if not lines:
            return
        skipping = replace(mapping, policy=Policy(non_finite="skip"))
        server, settings = begin(mapping=skipping)
    report = load(settings)
    assert report.rows_rejected == 0
    assert report.values_not_finite == becomes.count("counted")
    assert report.rows_moved == 2 * (rule == "nudge")
    wanted = [point for line in lines for point in decode(line + "\n")]
    found = stored(server, settings.target.bucket)
    assert found == [
        (point.tags.get("host", ""), *(_number(point.fields.get(name)) for name in ("x", "y")), point.time)
        for point in wanted
    ]
    for values in (False, True):
        assert verify(VerifySettings(settings.dataset, settings.target, values=values)).differences == ()


def _number(field: tuple[str, Any] | None) -> float | None:
    return None if field is None else struct.unpack("<d", field[1])[0]
