"""Schemas, chunks and manifests are values that survive JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.dataset import (
    Chunk,
    Field,
    FieldType,
    Manifest,
    Partition,
    PointSchema,
    read_manifest,
    trades_schema,
    write_manifest,
)
from loader.dataset.schema import column_problem
from loader.errors import ConfigError

PARTITION = Partition("date=2024-01-02/trades.parquet", 10, 1, 2, 345, "c0ffee00" * 8)
MANIFEST = Manifest((trades_schema(),), {"seed": 1}, {"loader": "0"}, (PARTITION,), complete=True)

schemas = st.builds(
    PointSchema,
    measurement=st.text(),
    tags=st.lists(st.text()).map(tuple),
    fields=st.lists(st.builds(Field, st.text(), st.sampled_from(FieldType)), unique_by=lambda f: f.column).map(tuple),
    time=st.text(),
)


@given(schemas)
def test_a_schema_survives_json(schema: PointSchema) -> None:
    """Writing and reading gives the same schema, with tags and fields in their order."""
    assert PointSchema.from_json(json.loads(json.dumps(schema.to_json()))) == schema


def test_columns_are_tags_fields_time() -> None:
    """The columns of trades are these."""
    assert trades_schema().columns == ("symbol", "side", "price", "amount", "timestamp")


def test_a_schema_without_fields_has_no_points() -> None:
    """A point needs a field."""
    schema = dataclasses.replace(trades_schema(), fields=())
    assert "no field" in column_problem(schema, pa.schema([]))


def test_columns_that_do_not_fit() -> None:
    """One that is missing, there twice, or of another type is named."""
    fitting = pa.schema([("symbol", pa.string()), ("side", pa.string()), ("price", pa.float64())])
    fitting = fitting.append(pa.field("amount", pa.int64())).append(pa.field("timestamp", pa.timestamp("ns")))
    assert column_problem(trades_schema(), fitting) == ""
    assert "column 'side' is missing; columns are symbol, price" in column_problem(trades_schema(), fitting.remove(1))
    assert "'side' is there more than once" in column_problem(trades_schema(), fitting.append(fitting.field(1)))
    other = fitting.set(2, pa.field("price", pa.int64()))
    assert "column 'price' is int64; it should be float32 or float64" in column_problem(trades_schema(), other)


def test_a_chunk_is_an_address() -> None:
    """A chunk says where it is, and sorts by that."""
    chunk = Chunk("a.parquet", 10, 25)
    assert (str(chunk), chunk.rows) == ("a.parquet[10:25]", 15)
    assert sorted([Chunk("b", 0, 1), Chunk("a", 5, 6), Chunk("a", 0, 5)])[0] == Chunk("a", 0, 5)


def test_a_manifest_survives_its_file(tmp_path: Path) -> None:
    """What was written is read, partitions in their order: which of two equal identities counts depends on it."""
    later = dataclasses.replace(PARTITION, path="date=2024-01-03/trades.parquet")
    write_manifest(tmp_path, dataclasses.replace(MANIFEST, partitions=(later, PARTITION)))
    assert read_manifest(tmp_path) == dataclasses.replace(MANIFEST, partitions=(later, PARTITION))


def test_the_fingerprint_is_the_content() -> None:
    """It changes with schema and checksums, and not with settings or versions."""
    other = dataclasses.replace(PARTITION, checksum="decaf")
    assert MANIFEST.fingerprint != dataclasses.replace(MANIFEST, partitions=(other,)).fingerprint
    renamed = dataclasses.replace(trades_schema(), measurement="other")
    assert MANIFEST.fingerprint != dataclasses.replace(MANIFEST, schemas=(renamed,)).fingerprint
    assert MANIFEST.fingerprint == dataclasses.replace(MANIFEST, settings={}, versions={}).fingerprint


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    """A manifest from the future is not guessed at."""
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / ".loader" / "manifest.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 99'))
    with pytest.raises(ConfigError, match="version 99"):
        read_manifest(tmp_path)
