"""Imports that come late: names of packages, and the signals meanwhile."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

import loader
from loader import dataset
from loader.importing import SIGNALS, importing, lazy_names


@pytest.fixture
def usual() -> Iterator[None]:
    """Put handlers of signals back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("package", [loader, dataset])
def test_every_name_has_its_home(package: object) -> None:
    """All that a package promises is there, and nothing else is."""
    names = package.__all__  # type: ignore[attr-defined]
    assert sorted(package._HOMES) == sorted(names)  # type: ignore[attr-defined]
    assert all(getattr(package, name).__name__ == name for name in names)


def test_a_name_without_a_home_is_none() -> None:
    """It is the error of any module."""
    with pytest.raises(AttributeError, match="module 'package' has no attribute 'nothing'"):
        lazy_names("package", {"name": "module"})("nothing")


@pytest.mark.usefixtures("usual")
def test_handlers_of_libraries_do_not_stay() -> None:
    """What a library installs is gone after the block, also after an error, and what was ignored stays so."""

    def ours(number: int, frame: object) -> None:
        """Do nothing."""

    signal.signal(signal.SIGTERM, ours)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with suppress(ImportError), importing():
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        raise ImportError
    assert signal.getsignal(signal.SIGTERM) is ours
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_other_threads_import_without_signals() -> None:
    """A thread cannot handle them, and need not."""
    seen = []

    def work() -> None:
        with importing():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


@pytest.mark.parametrize(
    ("number", "ignored"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGINT, True)]
)
def test_a_signal_during_an_import_ends_it(number: signal.Signals, ignored: bool) -> None:
    """The process ends at once, in words and in JSON; a signal that was ignored changes nothing."""
    program = (
        "import os, signal, sys\n"
        "from loader.importing import importing\n"
        f"signal.signal({int(number)}, signal.SIG_IGN if {ignored} else signal.SIG_DFL)\n"
        "with importing():\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    print('imported', flush=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "LOADER_DEBUG"}
    done = subprocess.run([sys.executable, "-c", program, "--json"], capture_output=True, text=True, env=environment)
    if ignored:
        assert (done.returncode, done.stdout) == (0, "imported\n")
    else:
        assert done.returncode == 130
        assert done.stderr == "error: interrupted\n"
        assert done.stdout == '{"exit_code": 130, "error": "interrupted"}\n'


def test_the_garbage_collector_pauses() -> None:
    """It is back after the block, also after an error, unless it was off before."""
    seen = []
    for enabled in (True, False):
        if not enabled:
            gc.disable()
        try:
            with suppress(ImportError), importing():
                seen.append(gc.isenabled())
                raise ImportError
            assert gc.isenabled() == enabled
        finally:
            gc.enable()
    assert seen == [False, False]
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_pyarrow_comes_without_pandas() -> None:
    """Its arrays need none; who asks for something of pandas gets it, since it is imported then."""
    program = (
        "import sys\n"
        "from loader.importing import import_pyarrow\n"
        "import_pyarrow()\n"
        "import pyarrow\n"
        "pyarrow.array([1])\n"
        "print('pandas' in sys.modules)\n"
        "print(len(pyarrow.array([1, 2]).to_pandas()))\n"
        "import pandas\n"
        "print(pyarrow.array(pandas.Series([1, 2])).to_pylist())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["False", "2", "[1, 2]", ""]
