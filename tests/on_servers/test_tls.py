"""A server behind TLS whose certificate comes from an authority of one's own."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from loader.cli import build_app
from loader.errors import Refused, Retryable
from loader.loading import LoadSettings, WriteSettings, load
from loader.servers.base import Request, Target
from loader.servers.transport import Connection
from loader.verification import VerifySettings, verify
from tests.datasets import small_dataset
from tests.fault_proxy import Answer, Drip, Reset, fault_proxy

HEALTH = Request("GET", "/health")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ca.pem, and server.pem that ca.pem signed for 127.0.0.1 and no other name."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for arguments in (
        [*key, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=own authority"],
        [
            *(*key, "-x509", "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=server", "-CA", "ca.pem"),
            *("-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        ],
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
    target = replace(behind_tls, ca_file=str(certificates / "ca.pem"))
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
    target = replace(behind_tls, url=url, ca_file=str(certificates / "ca.pem"))
    with Connection(target, 10) as connection, pytest.raises(Refused, match="Hostname mismatch") as caught:
        connection.send(HEALTH)
    assert "the host name that the certificate is made for" in caught.value.hint


def test_an_authority_that_is_another(behind_tls: Target, certificates: Path) -> None:
    """With a file, only what is in it is trusted."""
    target = replace(behind_tls, ca_file=str(certificates / "server.pem"))
    with Connection(target, 10) as connection, pytest.raises(Refused, match="not trusted"):
        connection.send(HEALTH)


def test_breaks_behind_tls_are_breaks(influx_v2: Any, tls: ssl.SSLContext, certificates: Path, tmp_path: Path) -> None:
    """A server that is restarted, or one that is slow, is no reason to stop a load, behind TLS as before it."""
    manifest = small_dataset(tmp_path)
    faults = {0: Reset(), 1: Reset(forward=True), 2: Answer(503), 3: Drip(b"HTTP/1.1 200 OK\r\n", 0.2)}
    with fault_proxy(influx_v2.url, lambda call: faults.get(call.number), tls=tls) as proxy:
        target = Target(proxy.url, influx_v2.new_bucket(), influx_v2.org, influx_v2.token, str(certificates / "ca.pem"))
        report = load(
            LoadSettings(tmp_path, target, write=WriteSettings(batch_lines=100), connections=1, timeout_seconds=1.0)
        )
    assert (report.rows_done, report.retries) == (manifest.rows, 4)


def test_http_where_https_is_spoken(behind_tls: Target) -> None:
    """The other way round, nothing is understood either."""
    target = replace(behind_tls, url=behind_tls.url.replace("https", "http"))
    with Connection(target, 10) as connection, pytest.raises(Retryable):
        connection.send(HEALTH)
