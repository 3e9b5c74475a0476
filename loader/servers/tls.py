"""TLS: which servers are trusted, what the loader shows of itself, and why a handshake failed."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from loader.errors import ConfigError

_CA_HINT = (
    "name the certificate of the authority that signed the server's (PEM): --ca-file, or SSL_CERT_FILE in the"
    " environment"
)
_HINTS: Mapping[int, str] = MappingProxyType(
    {
        # X509_V_ERR_…: expired, not yet valid; self-signed, in the chain, no issuer, no issuer of the first; host, IP
        **dict.fromkeys((9, 10), "look at the clocks of both machines, or have the certificate renewed"),
        **dict.fromkeys((18, 19, 20, 21), _CA_HINT),
        **dict.fromkeys((62, 64), "use the host name that the certificate is made for"),
    }
)
_BREAKS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors at the end of an encrypted connection that are not faults of TLS."""


@dataclass(frozen=True)
class Tls:
    """Whom to trust over https, and what to show to a server that asks who is there.

    ``ca_file`` has certificates of authorities (PEM), one of which must have signed the server's; "" is for those of
    the system. ``client_cert`` has the loader's own certificate (PEM), and its key unless ``client_key`` has it.
    Without ``verify``, any certificate counts: whoever is on the way can read and change everything.
    """

    ca_file: str = ""
    client_cert: str = ""
    client_key: str = ""
    verify: bool = True

    def context(self) -> ssl.SSLContext | None:
        """Return what connections are made with, None where all is as the system has it.

        Raises ConfigError for a file that cannot be used, and for settings that contradict each other.
        """
        if self == Tls():
            return None
        if self.client_key and not self.client_cert:
            raise ConfigError("--client-key is given without --client-cert", hint="name the certificate of the key")
        if self.ca_file and not self.verify:
            raise ConfigError("--ca-file and --insecure-skip-verify contradict each other", hint="use one of them")
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:  # ssl.SSLError is one of them
            raise _unusable("--ca-file", self.ca_file, error, "certificates") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_cert:
            self._add_certificate(context)
        return context

    def _add_certificate(self, context: ssl.SSLContext) -> None:
        for flag, path in (("--client-cert", self.client_cert), ("--client-key", self.client_key)):
            try:
                if path:
                    Path(path).open("rb").close()  # OpenSSL does not say which of the files it cannot read
            except OSError as error:
                raise _unusable(flag, path, error, "") from None
        try:
            context.load_cert_chain(self.client_cert, self.client_key or None, password=_refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                words = f"--client-cert: {self.client_cert}: its key is another one"
                raise ConfigError(words, hint="name the key that the certificate was made with: --client-key") from None
            raise _unusable("--client-cert", self.client_cert, error, "certificate and its key") from None


def tls_fault(error: Exception) -> tuple[str, str] | None:
    """Return why a TLS handshake failed for good, and what to do; None where a connection only broke."""
    if not isinstance(error, ssl.SSLError) or isinstance(error, _BREAKS):
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _HINTS.get(error.verify_code, _CA_HINT)
        return f"the server's certificate is not trusted: {error.verify_message}", hint
    words = str(error.reason).lower().replace("_", " ")
    if re.search("alert (certificate|unknown ca|handshake failure)", words):
        return words, "does the server want a certificate that it trusts? name yours with --client-cert"
    return words, "does the server speak TLS at this port, or should the address begin with http://?"


def _refuse_password() -> str:
    """Raise ConfigError, where OpenSSL would ask the terminal for the password of a key."""
    raise ConfigError(
        "the key of the client certificate has a password",
        hint="write it without one, readable by you alone: openssl pkey -in KEY -out FILE",
    )


def _unusable(flag: str, path: str, error: OSError, content: str) -> ConfigError:
    why = f"it holds no {content}" if isinstance(error, ssl.SSLError) else error.strerror
    return ConfigError(f"{flag}: {path}: cannot be used: {why}", hint="name a file in PEM form")
