"""How many bodies are sent at a time."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from loader.loading.write_path.connection_limit import adaptive, fixed
from loader.loading.write_path.gate import Gate


@dataclass
class Crowd:
    """Threads that pass a gate and stay until they are let go."""

    gate: Gate
    inside: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    leave: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    stop: threading.Event = field(default_factory=threading.Event)
    stopped: int = 0

    def send(self) -> None:
        """Pass, and stay."""
        with self.gate.passing(self.stop.is_set) as passed:
            if passed:
                self.inside.release()
                self.leave.acquire()
            else:
                self.stopped += 1

    def come(self, number: int) -> list[threading.Thread]:
        """Return ``number`` threads that want to pass."""
        threads = [threading.Thread(target=self.send) for _ in range(number)]
        for thread in threads:
            thread.start()
        return threads


def test_as_many_pass_as_the_limit_says() -> None:
    """The next one passes when one is back, and no one once the load stops."""
    crowd = Crowd(Gate(fixed(2)))
    threads = crowd.come(5)
    assert crowd.inside.acquire(timeout=10)
    assert crowd.inside.acquire(timeout=10)
    assert not crowd.inside.acquire(timeout=0.05)
    crowd.leave.release()
    assert crowd.inside.acquire(timeout=10)
    crowd.stop.set()
    crowd.leave.release(2)
    for thread in threads:
        thread.join(10)
    assert crowd.stopped == 2


def test_the_limit_follows_answers_and_refusals() -> None:
    """A refusal leaves fewer places at once, and answers are counted."""
    gate = Gate(adaptive(8))
    assert gate.limit == 3
    gate.refused(0.0)
    assert gate.limit == 1
    gate.answered(0.0, 1_000, waiting=True)
    assert gate.limit == 1
