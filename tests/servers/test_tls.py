"""Files of certificates and keys: what is wrong with one is said, by its flag, before anything is connected to."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from loader.errors import ConfigError
from loader.servers.tls import Tls, tls_fault


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate, its key, another key, and one with a password."""
    folder = tmp_path_factory.mktemp("files")
    make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out"]
    for command in (
        [*make, "own.key"],
        [*make, "other.key"],
        [*make, "closed.key", "-aes256", "-pass", "pass:secret"],
        ["openssl", "req", "-x509", "-key", "own.key", "-subj", "/CN=me", "-out", "own.pem"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (folder / "text").write_text("nothing")
    return folder


def test_the_system_decides_by_default(files: Path) -> None:
    """Without settings there is no context of one's own; with a certificate, the server's is still verified."""
    assert Tls().context() is None
    context = Tls(client_cert=str(files / "own.pem"), client_key=str(files / "own.key")).context()
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("ca_file", "cert", "key", "words"),
    [
        ("missing", "", "", r"--ca-file: .*missing: cannot be used: No such file"),
        ("text", "", "", r"--ca-file: .*text: cannot be used: it holds no certificates"),
        ("", "missing", "", r"--client-cert: .*missing: cannot be used: No such file"),
        ("", "own.pem", "missing", r"--client-key: .*missing: cannot be used: No such file"),
        ("", "text", "", r"--client-cert: .*text: cannot be used: it holds no certificate and its key"),
        ("", "own.pem", "", r"--client-cert: .*own.pem: cannot be used: it holds no certificate and its key"),
        ("", "own.pem", "other.key", r"--client-cert: .*own.pem: its key is another one"),
        ("", "own.pem", "closed.key", r"has a password"),
        ("", "", "own.key", r"without --client-cert"),
    ],
)
def test_files_that_cannot_be_used(files: Path, ca_file: str, cert: str, key: str, words: str) -> None:
    """Each is named with its flag; nobody is asked for a password."""
    named = [str(files / name) if name else "" for name in (ca_file, cert, key)]
    with pytest.raises(ConfigError, match=words):
        Tls(*named).context()


def test_trust_in_one_and_in_everybody(files: Path) -> None:
    """Both cannot be meant."""
    with pytest.raises(ConfigError, match="contradict"):
        Tls(str(files / "own.pem"), verify=False).context()


def test_what_a_handshake_failed_of() -> None:
    """A server that wants a certificate is told apart from one that speaks no TLS; what only broke is no fault."""
    wanted = ssl.SSLError(1, "alert")
    wanted.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    plain = ssl.SSLError(1, "version")
    plain.reason = "WRONG_VERSION_NUMBER"
    assert "--client-cert" in (tls_fault(wanted) or ("", ""))[1]
    assert tls_fault(plain) == (
        "wrong version number",
        "does the server speak TLS at this port, or should the address begin with http://?",
    )
    assert tls_fault(ssl.SSLEOFError()) is None
    assert tls_fault(OSError()) is None
