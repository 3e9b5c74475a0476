"""Where commands speak to, what they send there, and what they say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app, option_values
from loader.errors import ConfigError
from loader.loading.ledger import Ledger, ledger_path
from loader.servers.base import Target
from loader.servers.probe import introduction
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Call, fault_proxy

SECRET = "very-secret-token"


def run(*arguments: str | Path, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments], env=environment)


def loaded(root: Path, url: str) -> Path:
    """Return a dataset at ``root`` whose ledger says that it was loaded to ``url``."""
    manifest = small_dataset(root)
    with Ledger.opened(root, Target(url, "their-bucket", "their-org"), "", manifest.fingerprint, restart=False):
        pass
    return root


def ignoring(call: Call) -> Answer:
    """Answer everything with an error that shows what was asked."""
    return Answer(404)


@pytest.mark.parametrize("flags", [(), ("--bucket", "mine"), ("--token", SECRET), ("--values", "--json")])
def test_a_dataset_of_others_collects_no_tokens(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """The address in a ledger is spoken to when it is asked for by name, and not before."""
    with fault_proxy("http://127.0.0.1:1", ignoring, watched=("/",)) as proxy:
        root = loaded(tmp_path / "data", proxy.url)
        for environment in ({}, {"INFLUX_HOST": "http://127.0.0.1:1"}):
            result = run("verify", root, *flags, INFLUX_TOKEN=SECRET, **environment)
            assert result.exit_code == 2
            assert proxy.url in result.stderr
            assert f"--host {proxy.url}" in result.stderr
            assert SECRET not in result.output
        assert proxy.writes == []
        asked = run("verify", root, *flags, "--host", proxy.url)
        assert "this is not an InfluxDB" in asked.output
        assert [call.path for call in proxy.writes] == ["/health", "/ping"]


def test_a_server_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    """Each command says where it speaks to, first of all; in JSON it is among the settings."""
    root = loaded(tmp_path / "data", "http://127.0.0.1:1")
    for command in ("load", "verify"):
        result = run(command, root, INFLUX_HOST="http://127.0.0.1:1", INFLUX_BUCKET_NAME="b", INFLUX_ORG="o")
        assert result.exit_code == 3
        words = "'b' of organization 'o'" if command == "load" else "'their-bucket' of organization 'their-org'"
        assert result.stderr.startswith(f"server http://127.0.0.1:1, bucket {words}\n")
        content = json.loads(run(command, root, "--json", "--host", "http://127.0.0.1:1").stdout)
        assert content["settings"]["target"]["url"] == "http://127.0.0.1:1"
        assert content["settings"]["target"]["bucket"]


def test_what_is_not_safe_is_said_once() -> None:
    """A token that goes to another machine over http, and one that was found and is not sent."""

    def said(url: str, **parts: str) -> list[str]:
        return [notice.text for notice in introduction(Target(url, "b", **parts))]

    assert said("http://h") == ["server http://h, bucket 'b'"]
    assert [text.partition(":")[0] for text in said("http://h", token="t")[1:]] == ["warning"]
    assert len(said("http://127.0.0.1:1", token="t")) == len(said("https://h", token="t")) == 1
    assert said("http://h", withheld="INFLUX_TOKEN is not sent")[1:] == ["INFLUX_TOKEN is not sent"]


@pytest.mark.parametrize(
    "host",
    [
        f"http://bob:{SECRET}@127.0.0.1:1",
        f"http://bob:{SECRET}@127.0.0.1:bad",
        f"ftp://bob:{SECRET}@h",
        f"http://127.0.0.1:{SECRET}",
        f"http://[::1?{SECRET}",
        f"http://127.0.0.1:1/?token={SECRET}",
    ],
)
@pytest.mark.parametrize("by", ["flag", "environment"])
def test_passwords_in_addresses_are_kept_nowhere(tmp_path: Path, host: str, by: str) -> None:
    """The address is refused, and neither output nor any file of the dataset holds its password."""
    small_dataset(tmp_path / "data")
    flags, environment = (("--host", host), {}) if by == "flag" else ((), {"INFLUX_HOST": host})
    for command in ("load", "verify", "load --json", "load --dry-run", "status"):
        given = () if command == "status" else flags
        result = run(*command.split(), tmp_path / "data", *given, **environment)
        assert result.exit_code == (0 if command == "status" else 2)
        assert SECRET not in result.output
    files = [path.read_bytes() for path in (tmp_path / "data" / ".loader").rglob("*") if path.is_file()]
    assert all(SECRET.encode() not in content for content in files)


def test_old_records_are_shown_without_passwords(tmp_path: Path) -> None:
    """Ledgers and metrics of other versions may hold addresses with passwords: the status does not show them."""
    import sqlite3

    root = loaded(tmp_path / "data", "http://127.0.0.1:1")
    url = f"http://bob:{SECRET}@h"
    with sqlite3.connect(ledger_path(root)) as database:
        database.execute("UPDATE loads SET url = ?", (url,))
    settings = {"target": {"url": url, "bucket": "b"}}
    (root / ".loader" / "metrics").mkdir()
    content = {"started": "2024-01-02T00:00:00+00:00", "settings": settings, "report": None}
    (root / ".loader" / "metrics" / "verify-20240102T000000.000000Z.json").write_text(json.dumps(content))
    for flags in ((), ("--json",)):
        result = run("status", root, *flags)
        assert result.exit_code == 0
        assert SECRET not in result.output
        assert result.output.count("http://***@h") == 2


@pytest.mark.parametrize("environment", ["INFLUX_TOKEN", "INFLUXDB_V2_TOKEN"])
def test_a_token_with_a_line_end_inside_is_refused(tmp_path: Path, environment: str) -> None:
    """No traceback, and nothing of the token."""
    small_dataset(tmp_path / "data")
    result = run("load", tmp_path / "data", "--host", "http://127.0.0.1:1", **{environment: f"{SECRET}\rmore"})
    assert result.exit_code == 2
    assert f"error: {environment} holds a line end" in result.stderr
    assert "secret" not in result.output
    trailing = run("load", tmp_path / "data", "--host", "http://127.0.0.1:1", **{environment: f"{SECRET}\r"})
    assert "cannot connect" in trailing.stderr


ENCODINGS: list[Callable[[str], bytes]] = [
    lambda text: f"{text}\r\nsecond line\r\n".encode(),
    lambda text: f"\ufeff{text}\n".encode(),
    lambda text: f"{text}\r\n".encode("utf-16"),
    lambda text: f" {text} ".encode(),
]


@pytest.mark.parametrize("encode", ENCODINGS)
def test_token_files_of_windows_are_read(tmp_path: Path, encode: Callable[[str], bytes]) -> None:
    """With CR, a byte order mark, or as PowerShell writes them."""
    (tmp_path / "token").write_bytes(encode("t"))
    assert option_values.read_target("", "", tmp_path / "token", "", "").token == "t"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no token"),
        (b"\r\n" + SECRET.encode()[:0], "holds no token"),
        (b"\xff\xfe\xff", "cannot be read"),
        (b"\xfc" + SECRET.encode(), "cannot be read"),
        ("ü".encode() + SECRET.encode(), "no token has"),
        (b"\x00" * 100_000, "no token has|characters"),
    ],
)
def test_other_token_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
) -> None:
    """The file is named, and no token of the environment takes its place."""
    monkeypatch.setenv("INFLUX_TOKEN", "other")
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        option_values.read_target("", "", tmp_path / "token", "", "")
    assert f"--token-file {tmp_path / 'token'}" in caught.value.message
    assert "very" not in str(caught.value)


def test_two_tokens_in_flags_are_refused(tmp_path: Path) -> None:
    """One of them would count and the other not."""
    with pytest.raises(ConfigError, match="both given"):
        option_values.read_target("", "t", tmp_path / "token", "", "")


@pytest.mark.parametrize("command", ["load", "verify"])
def test_a_ca_file_is_checked_first(tmp_path: Path, command: str) -> None:
    """What is no file of certificates is an error of configuration that names the flag."""
    small_dataset(tmp_path / "data")
    (tmp_path / "ca.pem").write_text("nothing")
    result = run(command, tmp_path / "data", "--ca-file", tmp_path / "ca.pem")
    assert result.exit_code == 2
    assert f"--ca-file: {tmp_path / 'ca.pem'}: cannot be used: it holds no certificates" in result.stderr
