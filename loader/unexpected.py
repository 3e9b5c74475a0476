"""Explains an error that the loader did not expect: its kind, a short text, where to report it.

Needs only the standard library, because it must work when an import fails.
"""

from __future__ import annotations

import re
import traceback
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote, quote_plus, unquote

from loader.errors import LoaderError
from loader.printable import MESSAGE, printable

MOST_CHARACTERS = 200
SHORTEST_SECRET = 4
REPORT_HINT = "this is a fault of the loader: please report it on the project's issue page, with what --debug prints"
_CREDENTIALS = (
    (re.compile(r"//[^/\s@]*@"), "//***@"),
    (re.compile(r"(?i)\b(token|bearer|basic) [\w+/=:.\-]{8,}"), r"\1 ***"),
)


def explain(error: BaseException, secrets: Iterable[str] = ()) -> LoaderError:
    """Return ``error`` as a LoaderError: one line without control characters and without ``secrets``."""
    if isinstance(error, MemoryError):
        return LoaderError(
            "there is not enough memory", hint="leave more memory free, or use smaller files and fewer connections"
        )
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        return LoaderError(
            shorten(f"{where}{error.strerror}", secrets),
            hint="check files, space and permissions; --debug shows where it happened",
        )
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return LoaderError(shorten(f"unexpected {name}: {_text(error)}", secrets).rstrip(": "), hint=REPORT_HINT)


def trace(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Return the traceback of ``error``, without values of variables and without ``secrets``."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(printable(redact(line, secrets), MESSAGE) for line in lines)


def shorten(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` in one line of at most MOST_CHARACTERS, control characters as escapes, without ``secrets``."""
    # Text far beyond the limit is not processed: it may have gigabytes.
    return printable(redact(" ".join(text[: 100 * MOST_CHARACTERS].split()), secrets), MOST_CHARACTERS)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return ``text`` without ``secrets``, and without what looks like a credential."""
    text = hide(text, secrets)
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return text


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with ``secrets`` masked in each form in which others repeat them.

    Of ``user:password`` the password is masked alone, too. What is shorter than SHORTEST_SECRET stays.
    """
    for secret in secrets:
        for hidden in (secret, secret.partition(":")[2]):
            if len(hidden) >= SHORTEST_SECRET:
                for form in _forms(hidden):
                    text = text.replace(form, "***")
    return text


def find_secrets(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the secrets that a command line and its environment hold."""
    found = [value for name, value in environment.items() if name.startswith("INFLUX") and name.endswith("TOKEN")]
    for name, value in environment.items():
        if name.lower().endswith("_proxy") and "@" in value:
            user = value.rpartition("@")[0].rpartition("/")[2]
            found += [user, unquote(user)]
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if flag == "--token":
            found.append(value)
        elif flag.startswith("--token="):
            found.append(flag.removeprefix("--token="))
    return [secret for text in found for secret in (text, text.strip()) if secret]


def _forms(secret: str) -> tuple[str, ...]:
    """Return ``secret`` as it is, as Python quotes it, as HTTP sends it (Base64), and as an address holds it."""
    content = secret.encode(errors="surrogateescape")
    return secret, repr(secret)[1:-1], b64encode(content).decode(), quote(content, safe=""), quote_plus(content)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an error may be unable to say what it is
        return ""
