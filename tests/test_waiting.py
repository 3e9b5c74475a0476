"""Waits that can be interrupted, and threads that hold nobody up."""

from __future__ import annotations

import threading
import time
from queue import Queue, SimpleQueue

import pytest

from loader.events import Event, Notice, one_at_a_time
from loader.waiting import Answer, Workers, join, pause, take


def later(action: threading.Event) -> None:
    """Set ``action`` after more than one look of a wait."""
    threading.Timer(0.25, action.set).start()


@pytest.mark.parametrize("queue", [Queue(), SimpleQueue()])
def test_an_item_is_waited_for(queue: Queue[int]) -> None:
    """It comes when it comes."""
    threading.Timer(0.25, queue.put, (1,)).start()
    assert take(queue) == 1


def test_a_pause_ends_with_its_time_or_with_the_sign_to_stop() -> None:
    """A pause of any length is one; without a sign it ends by itself."""
    assert not pause(0.15)
    assert not pause(-1.0)
    stop = threading.Event()
    later(stop)
    assert pause(1e300, stop)
    assert pause(float("inf"), stop)


def test_a_thread_is_waited_for() -> None:
    """Also one that takes longer than a look."""
    thread = threading.Thread(target=time.sleep, args=(0.15,))
    thread.start()
    join(thread)
    assert not thread.is_alive()


def test_answers_come_in_order_and_errors_are_raised() -> None:
    """What work returns or raises is what its answer returns or raises."""

    def fail() -> None:
        raise TimeoutError("of the work itself")

    with Workers(2) as workers:
        slow = workers.submit(lambda: time.sleep(0.15) or 1)
        answers = [workers.submit(pow, 2, number) for number in range(5)]
        failed = workers.submit(fail)
        assert slow.result() == 1
        assert [answer.result() for answer in answers] == [1, 2, 4, 8, 16]
        with pytest.raises(TimeoutError, match="of the work itself"):
            failed.result()


def test_an_answer_may_be_too_late() -> None:
    """A wait may have a limit."""
    answer: Answer[int] = Answer()
    with pytest.raises(TimeoutError):
        answer.result(0.15)
    answer.set_result(1)
    assert answer.result(0.0) == 1


def test_what_has_not_begun_never_does() -> None:
    """The end of the block waits for what runs, and cancels the rest."""
    begun = threading.Event()

    def work() -> None:
        begun.set()
        time.sleep(0.1)

    with Workers(1) as workers:
        running = workers.submit(work)
        rest = [workers.submit(work) for _ in range(3)]
        begun.wait()
    assert running.done()
    assert all(answer.cancelled() for answer in rest)


def test_what_is_cancelled_is_not_done() -> None:
    """An answer that nobody wants any more costs nothing."""
    release, done = threading.Event(), threading.Event()
    with Workers(1) as workers:
        workers.submit(release.wait)
        unwanted = workers.submit(done.set)
        assert unwanted.cancel()
        release.set()
        workers.submit(int).result()
    assert not done.is_set()


def test_an_interrupt_waits_for_nobody() -> None:
    """After Ctrl-C a thread that waits for a server is left behind."""
    begun, release = threading.Event(), threading.Event()
    began = time.monotonic()

    def work() -> None:
        begun.set()
        release.wait(60)

    def interrupted() -> None:
        with Workers(1) as workers:
            workers.submit(work)
            begun.wait()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - began < 30
    release.set()


def test_threads_observe_one_at_a_time() -> None:
    """An observer need not know of threads."""
    inside, most = 0, 0

    def observe(event: Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        inside -= 1

    alone = one_at_a_time(observe)
    with Workers(4) as workers:
        for answer in [workers.submit(alone, Notice("said")) for _ in range(20)]:
            answer.result()
    assert most == 1
