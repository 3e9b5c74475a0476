"""The scratch bucket that trials write to: made anew for each of them, and removed whatever happens.

A bucket is a scratch bucket when both its name and its mark (the description; on 1.x the name of the default policy)
have the form that only this module makes, with the same number in both. No other is ever removed.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from loader.errors import ConfigError, LoaderError, Refused, ServerError
from loader.events import Notice, Observer, ignore
from loader.servers import restore as api
from loader.servers.base import Bucket, Send, Target
from loader.servers.patience import Patience, Stopped
from loader.servers.probe import Server
from loader.servers.transport import Connection
from loader.servers.v2 import InfluxDB2
from loader.tuning.interruptible import interruptible

PREFIX = "loader-tune-"
OLD = timedelta(days=1)
"""After so long no tuning is running any more that made a scratch bucket."""
MAKING_SECONDS, HURRIED_SECONDS = 0.25, 0.5
"""How long the making and the removal may still take after an interrupt; a command has about a second for both."""
PATIENT_SECONDS = 20.0
_MARK = re.compile(r"scratch-of-(loader-tune-[0-9a-f]{16})-([0-9]{8}T[0-9]{6}Z)")
_STAMP = "%Y%m%dT%H%M%SZ"


def make_name() -> str:
    """Return a name that no bucket has."""
    return f"{PREFIX}{uuid4().hex[:16]}"


def make_mark(name: str, now: datetime) -> str:
    """Return the mark of the scratch bucket ``name``; it is a name that a retention policy and a file can have."""
    return f"scratch-of-{name}-{now.strftime(_STAMP)}"


def made_at(bucket: Bucket) -> datetime | None:
    """Return when a tuning made ``bucket``, None for a bucket that is none of its scratch buckets."""
    mark = _MARK.fullmatch(bucket.description)
    if not mark or mark[1] != bucket.name:
        return None
    try:
        return datetime.strptime(mark[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


class NotRemoved(ServerError):
    """A scratch bucket may be left on the server."""


@dataclass(frozen=True)
class Scratch:
    """Makes scratch buckets of one name on ``server``, and removes them; ``target`` names the bucket.

    Once ``stop`` is set, requests that wait for the server are left soon.
    """

    target: Target
    server: Server
    timeout_seconds: float
    observe: Observer
    stop: threading.Event
    mark: str

    @classmethod
    def on(
        cls, server: Server, target: Target, timeout_seconds: float, observe: Observer, stop: threading.Event
    ) -> Scratch:
        """Return the maker of scratch buckets that are called as the bucket of ``target``."""
        mark = make_mark(target.bucket, datetime.now(UTC))
        if not isinstance(server.dialect, InfluxDB2):
            target = replace(target, bucket=f"{target.bucket}/{mark}")
        return cls(target, server, timeout_seconds, observe, stop, mark)

    @property
    def name(self) -> str:
        """The name of the bucket, or of the database."""
        return self.target.bucket.partition("/")[0]

    def tidy(self, send: Send) -> None:
        """Remove scratch buckets that a killed tuning left more than a day ago, and name those that are younger.

        Raises ServerError; ConfigError when there is a bucket of our name, or no organization is named.
        """
        if self.server.dialect.find_bucket(send, self.target):
            raise ConfigError(f"bucket {self.name!r} exists", hint="run it again: it takes another name")
        for bucket in self.server.dialect.list_buckets(send, self.target, PREFIX):
            made = made_at(bucket)
            if made is None:
                continue
            if datetime.now(UTC) - made > OLD:
                self.server.dialect.remove_bucket(send, self.target, bucket)
                self.observe(Notice(f"removed scratch bucket {bucket.name!r} of {made}, a tuning's leftover"))
            else:
                self.observe(
                    Notice(
                        f"scratch bucket {bucket.name!r} is there since {made}: a tuning was killed, or one is running;"
                        f" if none is, {self._how(bucket.name)}"
                    )
                )

    def create(self, send: Send) -> Bucket:
        """Make the bucket by the way in which a load makes it; raises Refused with what the token lacks."""
        try:
            if isinstance(self.server.dialect, InfluxDB2):
                return self.server.dialect.create_bucket(send, self.target, 0, self.mark)
            return self.server.dialect.create_bucket(send, self.target, 0)
        except Refused as error:
            raise Refused(
                f"a scratch bucket cannot be made: {error.message}",
                status=error.status,
                hint="loader tune needs a token that may make and remove buckets in the organization (an all-access"
                " or operator token; on 1.x an admin), as it touches none of those that are there",
            ) from error

    def create_with_shards(self, send: Send, duration: int, groups: list[api.ShardGroup]) -> Bucket:
        """Make the bucket by the way in which a restore makes it; raises ServerError."""
        assert isinstance(self.server.dialect, InfluxDB2)
        organization = self.server.dialect.find_organization(send, self.target)
        request = api.build_bucket(self.target, organization, self.mark, duration, groups)
        return Bucket(self.target.bucket, api.parse_bucket(self.target, send(request)))

    @contextmanager
    def bucket(self, make: Callable[[], Bucket]) -> Iterator[Bucket]:
        """Yield the bucket that ``make`` makes, and remove it at the end, also after an error or an interrupt.

        Raises NotRemoved when that fails: the message names the bucket, and tells of the error before. Raises Stopped.
        """
        if self.stop.is_set():
            raise Stopped("stopped")
        made: Bucket | None = None
        before: BaseException | None = None
        try:
            made = interruptible(make, self.stop, MAKING_SECONDS)
            yield made
        except BaseException as error:
            before = error
            raise
        finally:
            self._remove(made, before)

    def _remove(self, made: Bucket | None, before: BaseException | None) -> None:
        hurried = isinstance(before, Stopped) or not isinstance(before, Exception | None)
        stop = threading.Event() if hurried else self.stop
        if hurried:
            stop.set()
        try:
            found = interruptible(lambda: self._remove_own(made, stop), stop, HURRIED_SECONDS)
        except LoaderError as error:
            first = f", after another error: {before}" if isinstance(before, LoaderError) and not hurried else ""
            raise NotRemoved(
                f"scratch bucket {self.name!r} may be left on the server: {error.message}{first}",
                hint=self._how(self.name),
            ) from before
        if hurried and not found:
            self.observe(
                Notice(
                    f"scratch bucket {self.name!r} was asked for, and the server did not answer: if it makes it later,"
                    f" {self._how(self.name)}"
                )
            )

    def _remove_own(self, made: Bucket | None, stop: threading.Event) -> bool:
        """Remove the bucket that was made; if that is not known, one that has our mark. Return whether it was there."""

        def found(send: Send) -> Iterator[Bucket]:
            if made:
                yield made
                return
            listed = self.server.dialect.list_buckets(send, self.target, self.name)
            yield from (bucket for bucket in listed if bucket.description == self.mark)

        def remove() -> bool:
            removed = False
            for bucket in found(link.send):
                self.server.dialect.remove_bucket(link.send, self.target, bucket)
                removed = True
            return removed

        # A connection of its own: the other may be waiting for a reply.
        with Connection(self.target, self.timeout_seconds) as link:
            tell = ignore if stop.is_set() else self.observe
            return Patience(PATIENT_SECONDS, tell, stop).ask(remove)

    def _how(self, name: str) -> str:
        if isinstance(self.server.dialect, InfluxDB2):
            return f"remove it: influx bucket delete --org {self.target.org!r} --name {name}"
        return f'remove it: DROP DATABASE "{name}"'
