"""docker-compose.yml: what it starts stays on this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

SERVICES = {"influxdb": None, "influxdb-v1": "v1", "influxdb-v3": "v3"}


@pytest.fixture
def compose() -> dict[str, Any]:
    """Return the file as Docker reads it."""
    content: dict[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "docker-compose.yml").read_text())
    return content


@pytest.mark.parametrize(("name", "profile"), SERVICES.items())
def test_each_server_is_on_loopback_with_a_volume(compose: dict[str, Any], name: str, profile: str | None) -> None:
    """InfluxDB 2 starts by default, the others by profile; none listens beyond loopback or forgets its data."""
    service = compose["services"][name]
    assert service.get("profiles") == ([profile] if profile else None)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["volumes"][0].partition(":")[0] in compose["volumes"]


def test_there_are_no_other_services(compose: dict[str, Any]) -> None:
    """What is tested is all there is."""
    assert compose["services"].keys() == SERVICES.keys()


def test_the_default_server_sets_itself_up(compose: dict[str, Any]) -> None:
    """Organization, bucket and token come from the environment; a default secret says what it is."""
    service = compose["services"]["influxdb"]
    environment = service["environment"]
    assert environment["DOCKER_INFLUXDB_INIT_MODE"] == "setup"
    for name in ("ORG", "BUCKET", "ADMIN_TOKEN", "USERNAME", "PASSWORD"):
        assert environment[f"DOCKER_INFLUXDB_INIT_{name}"].startswith("${INFLUXDB_")
    for name in ("ADMIN_TOKEN", "PASSWORD"):
        assert ":-for-local-use-only}" in environment[f"DOCKER_INFLUXDB_INIT_{name}"]
    assert service["healthcheck"]["test"] == ["CMD", "influx", "ping"]


def test_the_token_of_3_comes_from_the_environment(compose: dict[str, Any]) -> None:
    """InfluxDB 3 starts with a token that the environment names; the default says what it is for."""
    service = compose["services"]["influxdb-v3"]
    assert service["environment"] == {"ADMIN_TOKEN": "${INFLUXDB_V3_TOKEN:-apiv3_for-local-use-only}"}
    shell, flag, script = service["entrypoint"]
    printed = script.replace("$$", "$").split("&& exec")[0].replace("/tmp/admin-token.json", "/dev/stdout")
    done = subprocess.run([shell, flag, printed], env={"ADMIN_TOKEN": "apiv3_x"}, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"token": "apiv3_x", "name": "_admin"}
