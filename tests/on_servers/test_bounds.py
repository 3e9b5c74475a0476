"""Points at the first and last times that InfluxDB stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.servers.frames import FIRST, LAST
from loader.verification import VerifySettings, verify
from tests.tables import write_tables

SCHEMA = PointSchema("m", ("t",), (Field("f", FieldType.FLOAT),), "time", "ns")


def loaded(server: Any, root: Path, *times: int) -> Target:
    """Load points at ``times`` into a bucket of their own."""
    table = pa.table({"t": ["x"] * len(times), "f": [1.5] * len(times), "time": list(times)})
    write_tables(root, SCHEMA, {"p.parquet": table})
    target = Target(server.url, server.new_bucket(), server.org, server.token)
    assert load(LoadSettings(root, target)).rows_acknowledged == len(times)
    return target


@pytest.mark.parametrize("time", [FIRST, LAST])
def test_the_outermost_days_are_compared_by_files_only(influx_v2: Any, tmp_path: Path, time: int) -> None:
    """Queries about these days have no answer, or none that ends: that is said, and the stored values are compared."""
    target = loaded(influx_v2, tmp_path, time, 0)
    with pytest.raises(ConfigError, match="cannot be compared by queries"):
        verify(VerifySettings(tmp_path, target, surplus="fail"))
    report = verify(VerifySettings(tmp_path, target, values=True))
    assert (report.difference_count, report.values) == (0, 2)


@pytest.mark.parametrize("values", [False, True])
def test_the_outermost_days_of_1(influx_v1: Any, tmp_path: Path, values: bool) -> None:
    """InfluxDB 1.8 answers about the last day, and misplaces the first."""
    target = loaded(influx_v1, tmp_path / "last", LAST, 0)
    assert verify(VerifySettings(tmp_path / "last", target, values=values)).difference_count == 0
    target = loaded(influx_v1, tmp_path / "first", FIRST, 0)
    with pytest.raises(ConfigError, match="points of 1677-09-21 cannot be compared"):
        verify(VerifySettings(tmp_path / "first", target, values=values))
