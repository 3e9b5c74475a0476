"""A server behind TLS whose certificate comes from an authority of one's own."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from loader.cli import build_app
from loader.errors import Refused, Retryable, Unreachable
from loader.loading import LoadSettings, WriteSettings, load
from loader.servers.base import Request, Target
from loader.servers.proxy import Proxy
from loader.servers.tls import Tls
from loader.servers.transport import Connection
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Drip, Reset, fault_proxy
from tests.forward_proxy import forward_proxy

HEALTH = Request("GET", "/health")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ca.pem, which signed server.pem, for 127.0.0.1 and influx.test, and client.pem."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    signed = ["-x509", "-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:influx.test"]
    for arguments in (
        [*key, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=own authority"],
        [*key, *signed, *names, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=server"],
        [*key, *signed, "-keyout", "client.key", "-out", "client.pem", "-subj", "/CN=client"],
    ):
        subprocess.run(["openssl", "req", *arguments], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls(certificates: Path) -> ssl.SSLContext:
    """Return what the server proves itself with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    return context


@pytest.fixture
def behind_tls(influx: Any, tls: ssl.SSLContext) -> Iterator[Target]:
    """Return a new bucket of a real server behind TLS."""
    with fault_proxy(influx.url, lambda call: None, tls=tls) as proxy:
        yield Target(proxy.url, influx.new_bucket(), influx.org, influx.token)


def test_an_authority_of_ones_own(behind_tls: Target, certificates: Path, tmp_path: Path) -> None:
    """Named with its file, it is trusted by load and verify."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    target = replace(behind_tls, tls=Tls(str(certificates / "ca.pem")))
    assert load(LoadSettings(tmp_path, target)).rows_done == manifest.rows
    assert verify(VerifySettings(tmp_path, target, samples=5)).difference_count == 0


def test_an_authority_in_the_environment(
    behind_tls: Target, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE counts as it does for other programs, and the flag for both commands."""
    small_dataset(tmp_path, days=1, rows=20)
    parts = ("--host", behind_tls.url, "--bucket", behind_tls.bucket, "--org", behind_tls.org)
    secret = {"INFLUX_TOKEN": behind_tls.token}
    ca_file = str(certificates / "ca.pem")
    unknown = CliRunner().invoke(build_app(), ["load", str(tmp_path), *parts], env=secret)
    assert unknown.exit_code == 2
    assert "the server's certificate is not trusted: unable to get local issuer certificate" in unknown.stderr
    assert "--ca-file, or SSL_CERT_FILE" in unknown.stderr
    by_name = CliRunner().invoke(build_app(), ["load", str(tmp_path), *parts], env={**secret, "SSL_CERT_FILE": ca_file})
    assert by_name.exit_code == 0, by_name.output
    flags = ["--ca-file", ca_file, "--samples", "5"]
    by_flag = CliRunner().invoke(build_app(), ["verify", str(tmp_path), *parts, *flags], env=secret)
    assert by_flag.exit_code == 0, by_flag.output


def test_another_name_than_the_certificates(behind_tls: Target, certificates: Path) -> None:
    """The server is who it says it is, and another one was asked for."""
    url = behind_tls.url.replace("127.0.0.1", "localhost")
    target = replace(behind_tls, url=url, tls=Tls(str(certificates / "ca.pem")))
    with Connection(target, 10) as connection, pytest.raises(Refused, match="Hostname mismatch") as caught:
        connection.send(HEALTH)
    assert "the host name that the certificate is made for" in caught.value.hint


def test_an_authority_that_is_another(behind_tls: Target, certificates: Path) -> None:
    """With a file, only what is in it is trusted."""
    target = replace(behind_tls, tls=Tls(str(certificates / "server.pem")))
    with Connection(target, 10) as connection, pytest.raises(Refused, match="not trusted"):
        connection.send(HEALTH)


def test_breaks_behind_tls_are_breaks(influx_v2: Any, tls: ssl.SSLContext, certificates: Path, tmp_path: Path) -> None:
    """A server that is restarted, or one that is slow, is no reason to stop a load, behind TLS as before it."""
    manifest = small_dataset(tmp_path)
    faults = {0: Reset(), 1: Reset(forward=True), 2: Answer(503), 3: Drip(b"HTTP/1.1 200 OK\r\n", 0.2)}
    with fault_proxy(influx_v2.url, lambda call: faults.get(call.number), tls=tls) as proxy:
        target = Target(
            proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token, Tls(str(certificates / "ca.pem"))
        )
        report = load(
            LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=100), connections=1, timeout_seconds=1.0)
        )
    assert (report.rows_done, report.retries) == (manifest.rows, 4)


def test_http_where_https_is_spoken(behind_tls: Target) -> None:
    """The other way round, nothing is understood either."""
    target = replace(behind_tls, url=behind_tls.url.replace("https", "http"))
    with Connection(target, 10) as connection, pytest.raises(Retryable):
        connection.send(HEALTH)


@pytest.fixture
def strict(influx_v2: Any, tls: ssl.SSLContext, certificates: Path) -> Iterator[Target]:
    """Return a new bucket of a real server behind TLS that lets nobody in whom the authority does not know."""
    tls.load_verify_locations(certificates / "ca.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    # With a later version, the server may have reset the connection before the client has read why.
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with fault_proxy(influx_v2.url, lambda call: None, tls=tls) as proxy:
        yield Target(proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token)


def run(*arguments: str | Path, target: Target, **environment: str) -> Result:
    """Run a command for ``target`` in this process."""
    place = ["--host", target.url, "--bucket", target.bucket, "--org", target.org]
    named = {"INFLUX_TOKEN": target.token, **environment}
    return CliRunner().invoke(build_app(), [*map(str, arguments), *place], env=named)


def test_a_certificate_of_ones_own(strict: Target, certificates: Path, tmp_path: Path) -> None:
    """Load and verify show it, with the key in the same file or in another."""
    small_dataset(tmp_path, days=1, rows=20)
    both = tmp_path / "both.pem"
    both.write_bytes((certificates / "client.pem").read_bytes() + (certificates / "client.key").read_bytes())
    ca = ("--ca-file", certificates / "ca.pem")
    shown = ("--client-cert", certificates / "client.pem", "--client-key", certificates / "client.key")
    loaded = run("load", tmp_path, *ca, *shown, target=strict)
    assert loaded.exit_code == 0, loaded.output
    verified = run("verify", tmp_path, "--samples", "5", *ca, "--client-cert", both, target=strict)
    assert verified.exit_code == 0, verified.output


def test_without_the_certificate_that_a_server_wants(strict: Target, certificates: Path) -> None:
    """The hint names what to give."""
    target = replace(strict, tls=Tls(str(certificates / "ca.pem")))
    with Connection(target, 10) as connection, pytest.raises(Refused, match="alert handshake failure") as caught:
        connection.send(HEALTH)
    assert "--client-cert" in caught.value.hint


@pytest.mark.parametrize("quiet", [(), ("--quiet",), ("--log-format", "json")])
def test_trust_in_everybody_is_said_in_red(behind_tls: Target, tmp_path: Path, quiet: tuple[str, ...]) -> None:
    """A load takes a certificate that nobody vouches for, and says so each time, also to those who want errors only."""
    small_dataset(tmp_path, days=1, rows=20)
    result = run("load", tmp_path, "--insecure-skip-verify", *quiet, target=behind_tls, FORCE_COLOR="1", COLUMNS="300")
    assert result.exit_code == 0, result.output
    words = "the server's certificate is not verified (--insecure-skip-verify)"
    red = "\x1b[1;31m" * ("json" not in quiet)
    assert result.stderr.count(f"{red}{words}") == 1


@pytest.mark.parametrize("command", ["doctor", "version"])
def test_questions_without_proof_say_so(behind_tls: Target, command: str) -> None:
    """Who asks with a token, too, is told that others may read it."""
    place = ["--host", behind_tls.url, "--insecure-skip-verify"]
    result = CliRunner().invoke(build_app(), [command, *place], env={"INFLUX_TOKEN": behind_tls.token})
    assert "InfluxDB" in result.stdout
    assert "warning: the server's certificate is not verified" in result.stderr


def test_a_proxy_reads_nothing_of_what_is_encrypted(
    behind_tls: Target, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It learns where to connect to, and its own password; the token passes through it encrypted."""
    manifest = small_dataset(tmp_path, days=1, rows=20)
    port = behind_tls.url.rpartition(":")[2]
    target = replace(behind_tls, url=f"https://influx.test:{port}")
    with forward_proxy({"influx.test": behind_tls.url}, "me:p@ss-word") as proxy:
        named = proxy.url.replace("//", "//me:p%40ss-word@")
        ca = ("--ca-file", certificates / "ca.pem")
        result = run("load", tmp_path, *ca, "--json", target=target, HTTPS_PROXY=named)
        assert result.exit_code == 0, result.output
        verified = run("verify", tmp_path, *ca, "--samples", "5", target=target, HTTPS_PROXY=named)
        assert verified.exit_code == 0, verified.output
        assert f"through the proxy {proxy.url}" in verified.stderr
        checked = run("doctor", *ca, target=target, HTTPS_PROXY=named)
        assert f"the server is asked through {proxy.url}" in checked.stdout
        monkeypatch.setenv("NO_PROXY", "influx.test")
        alone = run("version", *ca, target=target, HTTPS_PROXY=named)
    assert json.loads(result.stdout)["report"]["rows_acknowledged"] == manifest.rows
    assert {head.splitlines()[0] for head in proxy.heads} == {f"CONNECT influx.test:{port} HTTP/1.0"}
    everything = "".join(proxy.heads) + result.output + verified.output + alone.output
    assert behind_tls.token not in everything
    assert "ss-word" not in everything
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in kept if b"ss-word" in content]
    assert alone.exit_code != 0


def test_a_proxy_that_speaks_tls(
    behind_tls: Target, tls: ssl.SSLContext, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's authorities, or those of SSL_CERT_FILE, vouch for it; one encryption goes through the other."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    with forward_proxy({"influx.test": behind_tls.url}, tls=tls) as proxy:
        target = replace(behind_tls, url="https://influx.test", proxy=Proxy(proxy.url))
        with Connection(target, 10) as connection:
            assert connection.send(HEALTH).status == 200
        monkeypatch.delenv("SSL_CERT_FILE")
        with Connection(target, 10) as connection, pytest.raises(Refused, match=r"through the proxy .*not trusted"):
            connection.send(HEALTH)


def test_a_proxy_for_http(influx: Any, tmp_path: Path) -> None:
    """Whole requests go to it, large and small; it is told apart from the server when it wants a password."""
    manifest = small_dataset(tmp_path)
    with forward_proxy({"influx.test": influx.url}, "me:word") as proxy:
        url = f"http://influx.test:{influx.url.rpartition(':')[2]}"
        target = Target(url, influx.new_bucket(), influx.org, influx.token, proxy=Proxy(proxy.url, "me:word"))
        assert load(LoadSettings(tmp_path, target)).rows_acknowledged == manifest.rows
        assert verify(VerifySettings(tmp_path, target, samples=5)).difference_count == 0
        with (
            Connection(replace(target, proxy=Proxy(proxy.url)), 10) as connection,
            pytest.raises(Refused, match="wants a user and password"),
        ):
            connection.send(HEALTH)
    assert f"POST {url}/" in "".join(proxy.heads)


@pytest.mark.parametrize(
    ("refusal", "kind", "words"),
    [(407, Refused, "wants a user"), (403, Refused, "does not connect"), (503, Unreachable, "status 503")],
)
def test_a_proxy_that_refuses(refusal: int, kind: type[Exception], words: str) -> None:
    """What it refuses for good ends a load; that it cannot reach the server may pass."""
    with forward_proxy({}, refusal=refusal) as proxy:
        target = Target("https://influx.test", "b", proxy=Proxy(proxy.url))
        with Connection(target, 10) as connection, pytest.raises(kind, match=words):
            connection.send(HEALTH)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there(scheme: str) -> None:
    """It is named as what cannot be reached."""
    target = Target(f"{scheme}://influx.test", "b", proxy=Proxy("http://127.0.0.1:1"))
    with Connection(target, 10) as connection, pytest.raises(Unreachable, match=r"proxy http://127\.0\.0\.1:1: cannot"):
        connection.send(HEALTH)


def test_an_address_with_a_path(influx_v2: Any, tls: ssl.SSLContext, certificates: Path, tmp_path: Path) -> None:
    """Behind what serves several programs at one address, both ways in and verification go below its path."""
    manifest = small_dataset(tmp_path)
    trust = Tls(str(certificates / "ca.pem"))
    with fault_proxy(influx_v2.url, lambda call: None, tls=tls, prefix="/influx") as proxy:
        target = Target(f"{proxy.url}/", influx_v2.new_bucket(), influx_v2.org, influx_v2.token, trust)
        assert load(LoadSettings(tmp_path, target)).rows_acknowledged == manifest.rows
        assert verify(VerifySettings(tmp_path, target, samples=5)).difference_count == 0
        restored = replace(target, bucket=f"{target.bucket}-restored")
        assert load(LoadSettings(tmp_path, restored, via="restore")).rows_acknowledged == manifest.rows
        assert verify(VerifySettings(tmp_path, restored, values=True)).difference_count == 0
