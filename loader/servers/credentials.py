"""Strips and checks tokens and names from flags, environments and files. Tokens are never quoted. Pure."""

from __future__ import annotations

import re

from loader.errors import ConfigError

_BOM = "\ufeff"
_LONGEST_TOKEN = 4_096


def stripped(text: str) -> str:
    """Return ``text`` without blanks, line ends and byte order marks at its ends, which files may contain."""
    return text.strip().strip(_BOM).strip()


def check_token(token: str, name: str) -> str:
    """Return the token, stripped; raises ConfigError, which names its source and never quotes it.

    A token, or USER:PASSWORD, is printable ASCII: an HTTP header can hold nothing else.
    """
    token = stripped(token)
    if len(token) > _LONGEST_TOKEN:
        raise ConfigError(f"{name} has {len(token):,} characters", hint=f"a token has {_LONGEST_TOKEN:,} at most")
    if not re.fullmatch(r"[ -~]*", token):
        raise ConfigError(
            f"{name} holds a line end, or another character that no token has",
            hint="copy it again; a token is one line of ASCII letters, digits and signs",
        )
    return token


def check_name(name: str, what: str) -> str:
    """Return the name of a bucket or organization; raises ConfigError for control characters and broken text."""
    if re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name):
        raise ConfigError(
            f"{what} {name!r} holds control characters, or is not UTF-8",
            hint="type the name again; a file with line ends of Windows leaves a \\r at the end of names",
        )
    return name
