"""Where the target comes from, part by part."""

from __future__ import annotations

import pytest

from loader.errors import ConfigError
from loader.servers.base import Target
from loader.servers.target import Wish, from_configuration, from_environment, resolve_target

CONFIGURATION = """
[other]
  url = "http://other:8086"
  token = "other-token"
  org = "other"

[mine]
  url = "http://mine:8086/"
  token = "mine-token"
  org = "mine"
  active = true
"""


def test_defaults_are_the_servers_own() -> None:
    """With nothing said, it is the local server and the bucket of the trades."""
    assert resolve_target() == Target("http://localhost:8086", "trades")


def test_each_part_comes_from_the_first_that_names_it() -> None:
    """A flag overrides one part, and the others stay."""
    target = resolve_target(
        Wish(bucket="flag"),
        *from_environment({"INFLUX_TOKEN": "t", "INFLUXDB_V2_TOKEN": "second", "INFLUXDB_V2_ORG": "o"}),
        from_configuration(CONFIGURATION, "configs"),
    )
    assert target == Target("http://mine:8086", "flag", "o", "t")


def test_the_influx_variables_win_over_the_client_libraries() -> None:
    """Both sets may be there."""
    both = {"INFLUX_HOST": "http://a", "INFLUXDB_V2_URL": "http://b", "INFLUX_BUCKET_NAME": "c", "INFLUX_ORG": "d"}
    assert resolve_target(*from_environment(both)) == Target("http://a", "c", "d")


@pytest.mark.parametrize("text", ["", "top = 1", '[a]\nurl = "http://a"'])
def test_a_configuration_without_an_active_profile_says_nothing(text: str) -> None:
    """Only the active profile counts."""
    assert from_configuration(text, "configs") == Wish()


def test_a_broken_configuration_is_named_and_not_quoted() -> None:
    """Its text may hold a token."""
    with pytest.raises(ConfigError, match="configs: not TOML") as caught:
        from_configuration("[a]\ntoken = very-secret", "configs")
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_wishes_do_not_show_tokens() -> None:
    """Neither does their repr."""
    assert "secret" not in repr(Wish(token="secret"))
