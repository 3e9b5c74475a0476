"""InfluxDB before 1.8, which has only /write and knows no tokens; 1.8 still has all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from loader.dataset.schema import trades_schema
from loader.errors import PartialWrite, Refused
from loader.loading import LoadSettings, WriteSettings, load
from loader.servers.base import AggregateQuery, Bucket, PointsQuery, Target
from loader.servers.probe import probe
from loader.servers.transport import Connection
from loader.servers.v1 import EarlyInfluxDB1, InfluxDB1
from loader.verification import VerifySettings, verify
from tests.datasets import DAY, JANUARY_2, small_dataset, trades, write_dataset
from tests.fault_proxy import Answer, fault_proxy

SCHEMA = trades_schema()


@pytest.fixture(params=["influx_v1", "influx_early"])
def server(request: pytest.FixtureRequest) -> Any:
    """Return each running server that has /write in turn."""
    return request.getfixturevalue(request.param)


def test_the_dialect_on_real_servers(server: Any) -> None:
    """A database is made and found, lines are written, and answers are read, with what 1.x has always had."""
    dialect = EarlyInfluxDB1()
    target = Target(server.url, server.new_bucket() + "-early", token="user:password")
    lines = b"".join(
        f"trades,symbol=A,side=buy price={price},amount=7i {JANUARY_2 + price}\n".encode() for price in (1, 2)
    )
    with Connection(target, 30) as connection:
        assert dialect.find_bucket(connection.send, target) is None
        dialect.create_bucket(connection.send, target, 7 * DAY)
        assert dialect.find_bucket(connection.send, target) == Bucket(target.bucket, shard_duration=7 * DAY)
        dialect.classify_write(connection.send(dialect.build_write(target, lines, gzipped=False)))
        query = AggregateQuery(SCHEMA, SCHEMA.fields[:1], "sum", JANUARY_2, JANUARY_2 + DAY)
        sums = dialect.parse_aggregate(query, connection.send(dialect.build_aggregate(target, query)))
        assert sums.rows() == [("A", "buy", 0, JANUARY_2, 3.0)]
        points = PointsQuery(SCHEMA, ("A", "buy"), JANUARY_2 + 2, JANUARY_2 + 3)
        found = dialect.parse_points(points, connection.send(dialect.build_points(target, points)))
        assert found.rows() == [(JANUARY_2 + 2, 2.0, 7)]
        conflict = f"trades,symbol=A,side=buy amount=1.5 {JANUARY_2}\n".encode()
        with pytest.raises(PartialWrite, match="field type conflict"):
            dialect.classify_write(connection.send(dialect.build_write(target, conflict, gzipped=False)))
        nowhere = Target(server.url, "nowhere")
        with pytest.raises(Refused, match="database not found"):
            dialect.classify_write(connection.send(dialect.build_write(nowhere, lines, gzipped=False)))


@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_the_whole_way(influx_early: Any, tmp_path: Path, compress: str) -> None:
    """A dataset is loaded in spite of a fault, verified, and a changed and an extra point are found."""
    manifest = small_dataset(tmp_path)
    bucket = influx_early.new_bucket()
    with fault_proxy(influx_early.url, lambda call: Answer(503) if call.number == 1 else None) as proxy:
        settings = LoadSettings(
            tmp_path, Target(proxy.url, bucket), write=WriteSettings(batch_lines=100, compress=compress)
        )
        report = load(settings)
        assert all(call.path == f"/write?db={bucket}&precision=ns" for call in proxy.writes)
    assert report.server.startswith("InfluxDB 1.6.7")
    assert (report.rows_done, report.retries) == (manifest.rows, 1)
    target = Target(influx_early.url, bucket)
    assert verify(VerifySettings(tmp_path, target)).difference_count == 0
    opening = trades(0, ["AAPL"], 1)["timestamp"][0].value
    lines = (
        f"trades,symbol=AAPL,side=buy price=1 {opening}",
        f"trades,symbol=AAPL,side=sell price=1,amount=1i {JANUARY_2}",
    )
    influx_early.call(f"/write?db={bucket}&precision=ns", "\n".join(lines).encode())
    differences = verify(VerifySettings(tmp_path, target)).differences
    assert [(difference.kind, difference.series, difference.field) for difference in differences] == [
        ("different", "symbol=AAPL,side=buy", "price"),
        ("surplus", "symbol=AAPL,side=sell", ""),
    ]


def test_rejected_lines_are_kept(influx_early: Any, tmp_path: Path) -> None:
    """A type conflict costs exactly its own lines."""
    write_dataset(tmp_path, [trades(0, ["AAPL"], 20)])
    bucket = influx_early.new_bucket()
    blocker = f"trades,symbol=AAPL,side=buy amount=1.5 {JANUARY_2}".encode()
    influx_early.call(f"/write?db={bucket}&precision=ns", blocker)
    report = load(LoadSettings(tmp_path, Target(influx_early.url, bucket)))
    assert report.rows_rejected == 40
    rejected = [json.loads(line) for line in Path(report.rejected_path).read_text().splitlines()]
    assert {entry["status"] for entry in rejected} == {400}
    assert "field type conflict" in rejected[0]["reason"]


@pytest.mark.parametrize(("kind", "dialect"), [("v1", InfluxDB1), ("v1.6", EarlyInfluxDB1)])
def test_a_user_and_password_are_a_token(start_influxd: Any, tmp_path: Path, kind: str, dialect: type) -> None:
    """Where users are asked for their password, USER:PASSWORD loads and verifies, and a wrong one stops at once."""
    server = start_influxd(kind, users=True)
    statement = urlencode({"q": "CREATE USER loader WITH PASSWORD 'own-secret' WITH ALL PRIVILEGES"}).encode()
    server.call("/query", statement)
    small_dataset(tmp_path)
    target = Target(server.url, "trades", token="loader:own-secret")
    assert load(LoadSettings(tmp_path, target)).rows_done == 600
    assert verify(VerifySettings(tmp_path, target)).difference_count == 0
    for token in ("", "loader:other-secret"):
        wrong = Target(server.url, "trades", token=token)
        with pytest.raises(Refused, match="401") as caught:
            load(LoadSettings(tmp_path, wrong))
        assert "1.x: user:password" in caught.value.hint
        assert "secret" not in str(caught.value)
    with Connection(target, 30) as connection:
        assert type(probe(connection).dialect) is dialect
