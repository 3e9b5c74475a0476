"""The interface of InfluxDB dialects, which do no input or output of their own.

A dialect builds requests and reads replies; :mod:`loader.servers.transport` alone sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import polars as pl

from loader.dataset.schema import Field, PointSchema
from loader.encoding.escaping import USUAL_FORM, LineForm
from loader.servers.address import check_url
from loader.servers.credentials import check_name, check_token
from loader.servers.proxy import Proxy
from loader.servers.tls import Tls


@dataclass(frozen=True)
class Target:
    """Where points go. The token is kept out of ``repr``.

    Every part is checked when the target is made; an address with a password, or a token with a line end, raises a
    ConfigError that quotes neither. ``tls`` says whom to trust over https, ``proxy`` through which proxy to go; the
    environment's proxy is that of ``loader.servers.proxy.find_proxy``. ``withheld`` says in words which token was found
    but is not sent, because it belongs to another address.
    """

    url: str
    bucket: str
    org: str = ""
    token: str = field(default="", repr=False)
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    withheld: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", check_url(self.url))
        object.__setattr__(self, "token", check_token(self.token, "the token"))
        check_name(self.bucket, "the bucket")
        check_name(self.org, "the organization")


class ReplyKind(Enum):
    """The kinds of replies, which differ in how large and how slow they may be; the bounds are the transport's."""

    WRITE = "the reply to a write"
    LINES = "the reply to a write, which names each refused line"
    SMALL = "the reply"
    METADATA = "the metadata of the buckets"
    ANSWER = "the answer to a query"
    STREAM = "the stream"


@dataclass(frozen=True)
class Request:
    """An HTTP request relative to the target's address; the transport adds authorisation if it has none."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    reply: ReplyKind = ReplyKind.SMALL


@dataclass(frozen=True)
class WriteRules:
    """How a kind of server takes lines.

    ``form`` is what it can hold. A load uses ``batch_lines``, ``batch_bytes`` and at most ``connections`` unless its
    settings say otherwise. ``first_alone`` tells whether the first body into a shard must be on its way alone.
    """

    form: LineForm = USUAL_FORM
    batch_lines: int = 20_000
    batch_bytes: int = 4_000_000
    connections: int = 32
    first_alone: bool = True


@dataclass(frozen=True)
class Reply:
    """An HTTP reply; header names in lower case. ``secret`` is the token: not to be shown if the server repeats it."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    secret: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True)
class Bucket:
    """A bucket as the server describes it; durations in nanoseconds, 0 is infinite (or unknown, for shards)."""

    name: str
    id: str = ""
    retention: int = 0
    shard_duration: int = 0
    description: str = ""


@dataclass(frozen=True)
class AggregateQuery:
    """``function`` of each of ``fields`` per series and UTC day, over ``start`` <= time < ``stop`` (nanoseconds).

    ``function`` is "count", "sum", "min" or "max"; except for "count", all ``fields`` have one type. An ``encoded``
    answer is slower, but keeps characters in tags and field keys that the dialect's plain answer loses. ``columns`` are
    those that the server has of the measurement, None where queries need not know.
    """

    schema: PointSchema
    fields: tuple[Field, ...]
    function: str
    start: int
    stop: int
    encoded: bool = False
    columns: frozenset[str] | None = None


@dataclass(frozen=True)
class PointsQuery:
    """All points of one series (tag values in the order of ``schema.tags``) with ``start`` <= time < ``stop``.

    ``columns`` are those that the server has of the measurement, None where queries need not know.
    """

    schema: PointSchema
    series: tuple[str, ...]
    start: int
    stop: int
    columns: frozenset[str] | None = None


@dataclass(frozen=True)
class WindowQuery:
    """All points of all series with ``start`` <= time < ``stop``; where there are ``times``, only those at one of them.

    ``columns`` are those that the server has of the measurement, None where queries need not know.
    """

    schema: PointSchema
    start: int
    stop: int
    times: tuple[int, ...] = ()
    columns: frozenset[str] | None = None


@dataclass(frozen=True)
class CountQuery:
    """How many points have ``field`` and ``start`` <= time < ``stop`` (nanoseconds)."""

    schema: PointSchema
    field: Field
    start: int
    stop: int


class CandleValues(Enum):
    """What a query of candles asks for: prices, count and volume; the sum of price times amount; or all of these.

    All of them are asked of points that have both price and amount, which takes the server five times as long.
    """

    PRICES = "prices"
    TURNOVER = "turnover"
    TRADES = "trades"


@dataclass(frozen=True)
class CandleQuery:
    """Candles of ``every`` nanoseconds, by the tags of ``schema``, over ``start`` <= time < ``stop`` (nanoseconds).

    The first field of ``schema`` is the price, the second one, if there is one, the amount.
    """

    schema: PointSchema
    every: int
    values: CandleValues
    start: int
    stop: int


class AmbiguousText(Exception):
    """The plain answer to a query may have lost characters of a tag: the query must be repeated ``encoded``."""


class TooManyFiles(Exception):
    """A query would read more files than the server allows: it must be repeated for shorter times."""


class UnwritableNumber(Exception):
    """The answer to a query has a number that the server cannot write, such as a sum beyond all floats."""


Send = Callable[[Request], Reply]


class Dialect(Protocol):
    """What differs between InfluxDB 1, 2 and 3. Input and output happen only through ``send``."""

    @property
    def name(self) -> str:
        """Return "v1", "v2" or "v3"."""
        ...

    @property
    def write_rules(self) -> WriteRules:
        """Return how the server takes lines."""
        ...

    def build_write(self, target: Target, body: bytes, *, gzipped: bool) -> Request:
        """Return the request that writes ``body``, line protocol with timestamps in nanoseconds."""
        ...

    def classify_write(self, reply: Reply) -> None:
        """Return if ``reply`` is an acknowledgement (204 only); raise a ServerError for everything else."""
        ...

    def find_bucket(self, send: Send, target: Target) -> Bucket | None:
        """Describe the target's bucket, None when it is missing; raises ServerError.

        If the token may not read the bucket, only its name is set.
        """
        ...

    def create_bucket(self, send: Send, target: Target, shard_duration: int) -> Bucket:
        """Make the target's bucket with infinite retention; ``shard_duration`` in nanoseconds, 0 for the default."""
        ...

    def list_buckets(self, send: Send, target: Target, prefix: str) -> list[Bucket]:
        """Describe the buckets of the target's organization whose names begin with ``prefix``; raises ServerError.

        Those that the token may not read are left out. The description of a database is the name of its default policy.
        """
        ...

    def remove_bucket(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Remove ``bucket`` and all its points, if it is still there; raises ServerError."""
        ...

    def build_aggregate(self, target: Target, query: AggregateQuery) -> Request:
        """Return the request for ``query``."""
        ...

    def parse_aggregate(self, query: AggregateQuery, reply: Reply) -> pl.DataFrame:
        """Read (tags ``t0``, ``t1``, …, ``field``, ``day``, ``value``); raises ServerError, AmbiguousText.

        Tags are String, empty where a series has none. ``field`` is a position in ``query.fields`` (Int32), ``day``
        is 00:00 UTC (Int64 nanoseconds). ``value`` has the field's own type (Int64, UInt64, Float64), Int64 for counts.
        AmbiguousText asks for the same query ``encoded``.
        """
        ...

    def build_fields(self, target: Target, schema: PointSchema, start: int, stop: int) -> Request:
        """Return the request for the field keys of the measurement between ``start`` and ``stop``."""
        ...

    def parse_fields(self, reply: Reply) -> list[str]:
        """Read field keys, perhaps also some that have only other times; raises ServerError."""
        ...

    def build_points(self, target: Target, query: PointsQuery) -> Request:
        """Return the request for ``query``."""
        ...

    def parse_points(self, query: PointsQuery, reply: Reply) -> pl.DataFrame:
        """Read (``time`` Int64 nanoseconds, fields ``f0``, ``f1``, … in their own types), by time; raises ServerError.

        Strings are Binary. A field that a point lacks is null.
        """
        ...

    def check_influxql(self, send: Send, target: Target, bucket: Bucket) -> None:
        """Raise ConfigError unless queries in InfluxQL ask ``bucket``, which is that of ``target``."""
        ...

    def build_candles(self, target: Target, query: CandleQuery) -> Request:
        """Return the request for ``query``."""
        ...

    def parse_candles(self, query: CandleQuery, reply: Reply) -> pl.DataFrame:
        """Read (tags ``t0``, …, ``start``, and what ``query`` asks for); raises ServerError.

        ``start`` is Int64 nanoseconds. PRICES are ``open``, ``close``, ``high``, ``low``, ``count`` and ``volume``, in
        the types of their fields, and ``turnover`` is Float64; what the server has no value for is null.
        """
        ...
