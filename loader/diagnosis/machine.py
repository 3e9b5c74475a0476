"""Looks at this machine: libraries, memory, open files, texts, and the disk for temporary files."""

from __future__ import annotations

import re
import resource
import shutil
import sys
import tempfile
import zoneinfo
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from loader.diagnosis.findings import Finding, ok, problem, warning
from loader.memory import measure_available_memory
from loader.quantities import size_text

_SCARCE_MEMORY = 1_536 << 20
"""The restore path takes up to 1.3 GiB: see the table of measurements in the README."""
_LEAST_MEMORY = 512 << 20
"""The write path takes up to 0.35 GiB."""
_FEW_FILES = 64
"""Measured: stage, load by both ways and verify --values with the usual settings get by with 24."""
_MANY_FILES = 1_024
_SCARCE_DISK = 1 << 30
_REQUIREMENT = re.compile(r"([\w.-]+)>=([\d.]+)")


def look_at_libraries() -> Iterator[Finding]:
    """Compare the installed versions with those that the loader requires."""
    found = []
    for requirement in requires("loader") or []:
        match = _REQUIREMENT.fullmatch(requirement)
        if not match:  # an extra, which no command needs
            continue
        name, least = match.groups()
        hint = "install the loader again, in an environment of its own: pip install ."
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield problem("libraries", f"{name} is not installed", "commands that need it fail", hint)
            continue
        found.append(f"{name} {installed}")
        if _numbers(installed) < _numbers(least):
            text = f"{name} {installed} is older than {least}"
            yield problem("libraries", text, "commands that need it may fail, or be wrong", hint)
    yield ok("libraries", f"Python {sys.version.split()[0]}, {', '.join(found)}")


def look_at_memory() -> Iterator[Finding]:
    """Compare the memory that is available with what loads take."""
    available = measure_available_memory()
    text = f"{size_text(available)} are available"
    if available < _LEAST_MEMORY:
        effect = "the system may end a load, which takes up to 0.35 GiB, and more by --via restore"
        yield problem("memory", text, effect, "close other programs, or raise the limit of the container")
    elif available < _SCARCE_MEMORY:
        effect = "the system may end a load by --via restore, which takes up to 1.3 GiB"
        yield warning("memory", text, effect, "use --via write, or --connections 1")
    else:
        yield ok("memory", text)


def look_at_open_files() -> Iterator[Finding]:
    """Look at how many files and connections a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limited = soft != resource.RLIM_INFINITY
    text = f"up to {soft:,} at a time" if limited else "any number at a time"
    if limited and soft < _FEW_FILES:
        most = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        hint = (
            f"run ulimit -n {most}"
            if most >= _FEW_FILES
            else f"have the hard limit of {hard:,} raised: limits.conf, LimitNOFILE of systemd, or docker --ulimit"
        )
        yield warning("open files", text, 'commands may end with "Too many open files"', hint)
    else:
        yield ok("open files", text)


def look_at_texts() -> Iterator[Finding]:
    """Look at the encodings of names and of output, and whether time zones are known."""
    names, output = sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", None) or "utf-8"
    if {names.lower(), output.lower()} <= {"utf-8", "utf8"}:
        yield ok("texts", "UTF-8 for names and output")
    else:
        text = f"{names} for names of files, {output} for output"
        effect = "characters that it lacks are shown as escapes, and files of such names may not be found"
        yield warning("texts", text, effect, "set LC_ALL=C.UTF-8, or PYTHONUTF8=1")
    try:
        zoneinfo.ZoneInfo("Europe/Berlin")
    except zoneinfo.ZoneInfoNotFoundError:
        effect = "--timezone takes nothing but UTC"
        yield warning("time zones", "the system knows none", effect, "install tzdata, by the system or by pip")


def look_at_temporary_files(needed: int) -> Iterator[Finding]:
    """Compare the disk of temporary files with the bytes ``needed`` there by the search for equal identities."""
    hint = "set TMPDIR to a folder on a disk with room"
    try:
        folder = tempfile.gettempdir()
    except OSError:
        yield problem("temporary files", "no folder for them can be written", "loads and verifications fail", hint)
        return
    free = shutil.disk_usage(folder).free
    text = f"{size_text(free)} are free in {folder}"
    if free < needed:
        effect = f"the search for rows of one identity needs {size_text(needed)} there"
        yield problem("temporary files", text, effect, hint)
    elif free < _SCARCE_DISK:
        effect = "verify --values keeps there what a shard has beyond 128 MiB, and may not finish"
        yield warning("temporary files", text, effect, hint)
    else:
        yield ok("temporary files", text)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
