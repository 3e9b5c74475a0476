"""A real Chromium for tests of pages, spoken to over its DevTools protocol by a pipe.

The protocol: https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_SECONDS = 60


class Page:
    """A page in the browser; it keeps what the console says, and each address that is asked for."""

    def __init__(self, commands: int, replies: int) -> None:
        self._commands, self._replies = commands, replies
        self._rest = b""
        self._events: deque[dict[str, Any]] = deque()
        self._number = 0
        self._session: str | None = None
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility"):
            self.send(f"{domain}.enable")

    def open(self, path: Path, *, width: int = 1_200, dark: bool = False) -> None:
        """Open a file at ``width`` pixels, in light or dark colours, and wait until it is loaded."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        deadline = time.monotonic() + _SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive(deadline)

    def wait_for(self, script: str) -> Any:
        """Return what ``script`` evaluates to, once that is true."""
        deadline = time.monotonic() + _SECONDS
        while not (value := self.evaluate(script)):
            assert time.monotonic() < deadline, f"{script} is still {value}; the console says {self.console}"
            time.sleep(0.05)
        return value

    def evaluate(self, script: str) -> Any:
        """Return the value of ``script``."""
        reply = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply["exceptionDetails"]
        return reply["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9}[key])

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _SECONDS
        while (reply := self._receive(deadline)).get("id") != self._number:
            continue
        assert "error" not in reply, (method, reply["error"])
        result: dict[str, Any] = reply["result"]
        return result

    def _receive(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select([self._replies], [], [], max(0.0, deadline - time.monotonic()))[0], "the browser hangs"
            self._rest += os.read(self._replies, 1 << 20)
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if "method" in message:
            self._note(message)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        parameters = event["params"]
        match event["method"]:
            case "Runtime.consoleAPICalled":
                self.console.append(str([each.get("value", each.get("description")) for each in parameters["args"]]))
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(parameters["exceptionDetails"])[:1_000])
            case "Log.entryAdded":
                self.console.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])


@contextmanager
def opened_browser(profile: Path) -> Iterator[Page]:
    """Yield a blank page of a browser of its own, which ends with the block; skip the test where there is none."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("LOADER_REQUIRE_BROWSER"):
            pytest.fail("no Chromium here; on Debian: apt-get install chromium")
        pytest.skip("no Chromium here; to include it, on Debian: apt-get install chromium")
    commands, ours = os.pipe()
    theirs, replies = os.pipe()
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")
    os.set_inheritable(commands, True)
    os.set_inheritable(replies, True)
    # The browser reads from descriptor 3 and writes to 4.
    shell = f'exec "$0" "$@" 3<&{commands} 4>&{replies}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", shell, program, *flags, f"--user-data-dir={profile}"],
        pass_fds=(commands, replies),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(commands)
    os.close(replies)
    try:
        yield Page(ours, theirs)
    finally:
        os.close(ours)
        os.close(theirs)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
