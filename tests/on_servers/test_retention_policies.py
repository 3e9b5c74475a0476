"""Databases of 1.x with retention policies, DATABASE/POLICY, on real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from loader.errors import ConfigError
from loader.loading import LoadSettings, load
from loader.servers.base import Target
from loader.verification import VerifySettings, verify
from tests.datasets import JANUARY_2, small_dataset


@pytest.fixture(params=["influx_v1", "influx_early"])
def server(request: pytest.FixtureRequest) -> Any:
    """Return each running server of 1.x in turn."""
    return request.getfixturevalue(request.param)


def query(server: Any, statement: str, **parameters: str) -> list[Any]:
    """Return the series of an answer."""
    content = server.call("/query", urlencode({"q": statement, **parameters}).encode())
    (result,) = json.loads(content)["results"]
    assert "error" not in result
    series: list[Any] = result.get("series", [])
    return series


def policies(server: Any, database: str) -> dict[str, tuple[str, bool]]:
    """Return duration and whether it is the default of each policy."""
    (series,) = query(server, f'SHOW RETENTION POLICIES ON "{database}"')
    return {row[0]: (row[1], row[4]) for row in series["values"]}


def test_a_policy_is_made_written_and_verified(server: Any, tmp_path: Path) -> None:
    """In a database that is there, the policy is made; points go to it, are counted in it, and nowhere else."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    database = server.new_bucket()
    target = Target(server.url, f"{database}/long term")
    assert load(LoadSettings(tmp_path, target)).rows_done == manifest.rows
    assert policies(server, database) == {"autogen": ("0s", True), "long term": ("0s", False)}
    assert query(server, "SELECT count(price) FROM trades", db=database) == []
    for values in (False, True):
        assert verify(VerifySettings(tmp_path, target, values=values, samples=5)).difference_count == 0
        assert (
            verify(VerifySettings(tmp_path, Target(server.url, database), values=values, samples=5)).difference_count
            > 0
        )
    assert load(LoadSettings(tmp_path, target)).rows_resumed == manifest.rows
    line = f"trades,symbol=AAPL,side=sell price=1,amount=1i {JANUARY_2}".encode()
    server.call(f"/write?{urlencode({'db': database, 'rp': 'long term', 'precision': 'ns'})}", line)
    assert [it.kind for it in verify(VerifySettings(tmp_path, target, samples=5)).differences] == ["surplus"]


def test_a_database_is_made_with_its_policy(server: Any, tmp_path: Path) -> None:
    """Where neither is there, the policy is the only one and the default of the new database."""
    small_dataset(tmp_path, days=1, rows=20)
    database = f"{server.new_bucket()}-new"
    load(LoadSettings(tmp_path, Target(server.url, f"{database}/all")))
    assert policies(server, database) == {"all": ("0s", True)}
    assert verify(VerifySettings(tmp_path, Target(server.url, database), samples=5)).difference_count == 0


def test_the_retention_of_the_policy_counts(server: Any, tmp_path: Path) -> None:
    """A policy that would drop the dataset's points is refused, and a default one is not looked at."""
    small_dataset(tmp_path, days=1, rows=20)
    database = server.new_bucket()
    query(server, f"CREATE RETENTION POLICY short ON {database} DURATION 1d REPLICATION 1")
    with pytest.raises(ConfigError, match=r"keeps 1 days"):
        load(LoadSettings(tmp_path, Target(server.url, f"{database}/short")))
    query(server, f"ALTER RETENTION POLICY short ON {database} DEFAULT")
    assert load(LoadSettings(tmp_path, Target(server.url, f"{database}/autogen"))).rows_done


@pytest.mark.parametrize("bucket", ["trades/", "/autogen", "a/b/c"])
def test_half_a_policy_is_refused(server: Any, tmp_path: Path, bucket: str) -> None:
    """Nothing is made of it."""
    small_dataset(tmp_path, days=1, rows=20)
    with pytest.raises(ConfigError, match="not a database"):
        load(LoadSettings(tmp_path, Target(server.url, bucket)))
