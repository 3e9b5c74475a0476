"""Kills, amid a load, what takes part in it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from loader.events import Advanced, Event


def kill_at_first_progress(program: str, arguments: Sequence[str], token: str) -> None:
    """Run ``program``, which reads the token and prints its events, and kill -9 it once it has made progress."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(token + "\n")
        process.stdin.flush()
        while "Advanced" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)


class ServerKiller:
    """An observer that kills ``server`` at the first progress, and has it come back."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._revival = threading.Thread(target=server.restart)

    def __call__(self, event: Event) -> None:
        """Kill the server once."""
        if isinstance(event, Advanced) and self._revival.ident is None:
            self._server.kill()
            self._revival.start()

    def wait(self) -> None:
        """Wait until the server is back."""
        self._revival.join()
