"""Takes what senders report, in one thread, which alone keeps the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from loader.events import Answered, Waited
from loader.loading.flow import Flow
from loader.loading.write_path.sender import Ack, Failed, NotSent, Result


class Results:
    """Has acknowledgements recorded by ``acknowledge`` and events told by ``tell``; ``error`` is the first one."""

    def __init__(
        self, flow: Flow, acknowledge: Callable[[Ack], None], tell: Callable[[Answered | Waited], None]
    ) -> None:
        self._flow = flow
        self._acknowledge = acknowledge
        self._tell = tell
        self.error: BaseException | None = None

    def record(self, results: Iterator[Answered | Waited | Result]) -> None:
        """Take all of ``results``, whatever goes wrong with one of them; an error ends the sending."""
        for result in results:
            try:
                self._take(result)
            except Exception as error:  # of the ledger or an observer: the rest in flight is still recorded
                self.error = self.error or error
                self._flow.aborted.set()

    def _take(self, result: Answered | Waited | Result) -> None:
        match result:
            case Ack():
                self._acknowledge(result)
            case Failed(error, ack):
                self.error = self.error or error
                if ack:
                    self._acknowledge(ack)
            case NotSent():
                pass
            case _:
                self._tell(result)
