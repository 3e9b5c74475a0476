"""Where the target comes from, part by part."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loader.errors import ConfigError
from loader.servers.base import Target
from loader.servers.target import (
    Place,
    TargetOptions,
    from_configuration,
    from_environment,
    resolve_target,
    with_last_load,
)

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
        TargetOptions(bucket="flag"),
        *from_environment({"INFLUXDB_V2_ORG": "o"}),
        from_configuration(CONFIGURATION, "configs"),
    )
    assert target == Target("http://mine:8086", "flag", "o", "mine-token")


def test_the_influx_variables_win_over_the_client_libraries() -> None:
    """Both sets may be there."""
    both = {"INFLUX_HOST": "http://a", "INFLUXDB_V2_URL": "http://b", "INFLUX_BUCKET_NAME": "c", "INFLUX_ORG": "d"}
    assert resolve_target(*from_environment(both)) == Target("http://a", "c", "d")


@pytest.mark.parametrize("text", ["", "top = 1", '[a]\nurl = "http://a"'])
def test_a_configuration_without_an_active_profile_says_nothing(text: str) -> None:
    """Only the active profile counts."""
    assert from_configuration(text, "configs") == TargetOptions(place=Place.PROFILE)


def test_a_broken_configuration_is_named_and_not_quoted() -> None:
    """Its text may hold a token."""
    with pytest.raises(ConfigError, match="configs: not TOML"):
        from_configuration("a = " + "[" * 100_000, "configs")
    with pytest.raises(ConfigError, match="configs: not TOML") as caught:
        from_configuration("[a]\ntoken = very-secret", "configs")
    assert "very-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_wishes_do_not_show_tokens() -> None:
    """Neither does their repr."""
    assert "secret" not in repr(TargetOptions(token="secret"))


PROFILE = from_configuration(CONFIGURATION, "configs")
FLAG = TargetOptions(url="http://flag")


def chosen(
    environment: dict[str, str], *, flags: TargetOptions = FLAG, profile: TargetOptions = PROFILE
) -> tuple[str, str, bool]:
    """Return address and token that are chosen, and whether another token was left out and said so."""
    target = resolve_target(flags, *from_environment(environment), profile)
    return target.url, target.token, bool(target.withheld)


NO_FLAG, NO_PROFILE = TargetOptions(), TargetOptions(place=Place.PROFILE)


def test_tokens_go_where_flags_point() -> None:
    """An address on the command line is meant for whatever token there is; so is the default on this machine."""
    assert chosen({"INFLUX_TOKEN": "t"}) == ("http://flag", "t", False)
    assert chosen({}) == ("http://flag", "mine-token", False)
    assert chosen({"INFLUX_TOKEN": "t"}, flags=NO_FLAG, profile=NO_PROFILE) == ("http://localhost:8086", "t", False)


def test_a_token_in_flags_goes_to_the_address_that_there_is() -> None:
    """It was given for this command."""
    flags = TargetOptions(token="f")
    assert chosen({"INFLUX_HOST": "http://a"}, flags=flags) == ("http://a", "f", False)
    assert chosen({}, flags=flags) == ("http://mine:8086", "f", False)


def test_tokens_of_later_sources_stay_with_their_address() -> None:
    """An address in the environment gets no token of the profile, and none of other variables, unless it is theirs."""
    other = {"INFLUX_HOST": "http://a"}
    assert chosen(other, flags=NO_FLAG) == ("http://a", "", True)
    second = {**other, "INFLUXDB_V2_URL": "http://b", "INFLUXDB_V2_TOKEN": "second"}
    assert chosen(second, flags=NO_FLAG) == ("http://a", "", True)
    assert chosen({"INFLUX_HOST": "http://MINE:8086/"}, flags=NO_FLAG) == ("http://MINE:8086", "mine-token", False)
    assert chosen({**other, "INFLUXDB_V2_TOKEN": "second"}, flags=NO_FLAG) == ("http://a", "second", False)


def test_what_is_left_out_is_named() -> None:
    """The sentence tells whose token it was and which address it is not for, and quotes neither token."""
    target = resolve_target(NO_FLAG, *from_environment({"INFLUX_HOST": "http://a"}), PROFILE)
    assert "the token of profile 'mine' in configs is not sent" in target.withheld
    assert "INFLUX_HOST" in target.withheld
    assert "mine-token" not in target.withheld


def test_a_token_beside_another_address_is_an_error() -> None:
    """INFLUX_TOKEN without a host, and a profile with another: nobody can tell which of the two tokens is meant."""
    with pytest.raises(ConfigError, match="INFLUX_TOKEN is set, and the address comes from elsewhere") as caught:
        chosen({"INFLUX_TOKEN": "very-secret"}, flags=NO_FLAG)
    assert "the url of profile 'mine'" in caught.value.message
    assert "--host or INFLUX_HOST" in caught.value.hint
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("around", ["{}\r", "\ufeff{}", " {}\r\n", "\ufeff {}\t"])
def test_line_ends_of_windows_do_not_count(around: str) -> None:
    """Values in a .env file may end in CR and begin with a byte order mark: they are the values without."""
    names = {"INFLUX_HOST": "http://a", "INFLUX_ORG": "o", "INFLUX_BUCKET_NAME": "b", "INFLUX_TOKEN": "t"}
    environment = {name: around.format(value) for name, value in names.items()}
    assert resolve_target(*from_environment(environment)) == Target("http://a", "b", "o", "t")
    assert Target("http://a", "b", token=around.format("t")).token == "t"


BAD_TOKENS = [
    "very\rsecret",
    "very\nsecret",
    "very\x00secret",
    "verysecr\u00e9t",
    "very\u200bsecret",
    "\udcffvery",
    "v" * 5_000,
]


@pytest.mark.parametrize("token", BAD_TOKENS)
@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        (lambda token: TargetOptions(token=token), "--token"),
        (lambda token: from_environment({"INFLUX_TOKEN": token})[0], "INFLUX_TOKEN"),
        (lambda token: from_environment({"INFLUXDB_V2_TOKEN": token})[1], "INFLUXDB_V2_TOKEN"),
        (
            lambda token: TargetOptions(token=token, place=Place.PROFILE, names=PROFILE.names),
            "the token of profile 'mine'",
        ),
    ],
)
def test_impossible_tokens_are_named_by_their_source(
    candidate: Callable[[str], TargetOptions], name: str, token: str
) -> None:
    """The error names where it came from, and nothing of it is shown, wherever it is made."""
    for make in (lambda: resolve_target(candidate(token)), lambda: Target("http://a", "b", token=token)):
        with pytest.raises(ConfigError) as caught:
            make()
        assert "very" not in str(caught.value)
        assert "vv" not in str(caught.value)
        assert caught.value.__context__ is None
    with pytest.raises(ConfigError, match=name):
        resolve_target(candidate(token))


@pytest.mark.parametrize("name", ["a\rb", "a\x1b[31m", "\udcff", "\x85"])
def test_impossible_names_are_refused(name: str) -> None:
    """A bucket or organization with control characters, or that is not UTF-8, is an error with its source."""
    for environment in ({"INFLUX_BUCKET_NAME": f"x{name}x"}, {"INFLUX_ORG": f"x{name}x"}):
        with pytest.raises(ConfigError, match=r"INFLUX_(BUCKET_NAME|ORG)"):
            resolve_target(*from_environment(environment))
    for parts in ({"bucket": name}, {"bucket": "b", "org": name}):
        with pytest.raises(ConfigError, match=r"bucket|organization"):
            Target("http://a", **parts)


def test_impossible_addresses_are_named_by_their_source() -> None:
    """The variable is named, the address is not quoted."""
    with pytest.raises(ConfigError, match=r"INFLUX_HOST is not the address of a server: .* user or password") as caught:
        resolve_target(*from_environment({"INFLUX_HOST": "http://bob:very-secret@h"}))
    assert "very-secret" not in str(caught.value)


LAST = TargetOptions("http://a", "last-org", "last-bucket")


def test_the_last_load_names_bucket_and_organization_on_the_same_server() -> None:
    """Flags come before it, the environment after it."""
    environment = from_environment({"INFLUX_HOST": "http://A:80/", "INFLUX_BUCKET_NAME": "other"})
    candidates = with_last_load([TargetOptions(org="flag"), *environment], LAST, "data")
    assert resolve_target(*candidates) == Target("http://A:80", "last-bucket", "flag")
    candidates = with_last_load([TargetOptions(url="http://a")], LAST, "data")
    assert resolve_target(*candidates) == Target("http://a", "last-bucket", "last-org")
    assert with_last_load([NO_FLAG], None, "data") == [NO_FLAG]


def test_another_server_in_flags_is_meant() -> None:
    """Then the ledger says nothing."""
    candidates = with_last_load([TargetOptions(url="http://b", bucket="c")], LAST, "data")
    assert resolve_target(*candidates) == Target("http://b", "c")


@pytest.mark.parametrize(
    ("environment", "named"),
    [({}, r"http://localhost:8086 \(the default\)"), ({"INFLUX_HOST": "http://b"}, r"http://b \(INFLUX_HOST\)")],
)
def test_another_server_in_the_ledger_is_asked_for(environment: dict[str, str], named: str) -> None:
    """A dataset never says where to go: the error names both addresses and how to choose."""
    candidates = [TargetOptions(bucket="flag"), *from_environment({**environment, "INFLUX_TOKEN": "t"})]
    with pytest.raises(ConfigError, match=f"data went to http://a, and the address is {named}") as caught:
        with_last_load(candidates, LAST, "data")
    assert "--host http://a" in caught.value.hint


@pytest.mark.parametrize("url", ["http://bob:very-secret@[::1", "http://bob:very-secret@a:1", "http://a?very-secret"])
def test_a_ledger_with_an_impossible_address_says_nothing_of_it(url: str) -> None:
    """It may be from anybody, and hold anything; what is hidden of an address is not to be typed."""
    with pytest.raises(ConfigError) as caught:
        with_last_load([NO_FLAG], TargetOptions(url, "o", "b"), "data")
    assert "very-secret" not in str(caught.value)
    assert caught.value.hint == "say which server to verify: --host http://localhost:8086"
