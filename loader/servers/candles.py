"""Queries of candles in InfluxQL, which InfluxDB 1 and 2 answer alike. Pure.

FIRST() and LAST() choose the highest of several values at one time. A product of fields needs a subquery, of which the
server computes some two million points a second. Flux would have to pivot fields into rows, which takes 20 times as
long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from loader.dataset.schema import Field, FieldType
from loader.servers.base import CandleQuery, CandleValues, Reply, Request, Target
from loader.servers.frames import ANSWER_TYPES, refuse_first_day, refuse_last_day, tag_columns
from loader.servers.influxql import build_statement, identifier, read_series, read_value

_SECOND = 1_000_000_000


def build_candles(target: Target, query: CandleQuery, params: tuple[tuple[str, str], ...] = ()) -> Request:
    """Return the request for ``query``, with more ``params``.

    Raises ConfigError for a name that InfluxQL cannot write, and for the first and last day that are stored.
    """
    refuse_first_day(query)
    refuse_last_day(query)
    within = f"WHERE time >= {query.start} AND time < {query.stop}"
    columns = [f"{identifier(field.column)}::field" for field in query.schema.fields]
    source = identifier(query.schema.measurement)
    if query.values is not CandleValues.PRICES:
        price, amount = columns
        inner = [f"{price} * 1.0 * {amount} AS _turnover"]
        wanted = ""
        if query.values is CandleValues.TRADES:
            inner = [f"{price} AS _price", f"{amount} AS _amount", *inner]
            # True for every number: a point that has no such field is left out.
            wanted = "".join(f" AND ({column} > 0 OR {column} <= 0)" for column in columns)
        source = f"(SELECT {', '.join(inner)} FROM {source} {within}{wanted})"
        columns = ["_price", "_amount"]
    functions = {
        CandleValues.PRICES: _prices(columns),
        CandleValues.TURNOVER: ["SUM(_turnover)"],
        CandleValues.TRADES: [*_prices(columns), "SUM(_turnover)"],
    }[query.values]
    groups = "".join(f", {identifier(tag)}" for tag in query.schema.tags)
    request = build_statement(
        target,
        f"SELECT {', '.join(functions)} FROM {source} {within}"
        f" GROUP BY time({query.every // _SECOND}s){groups} FILL(none)",
    )
    return replace(request, params=(*request.params, *params))


def _prices(columns: list[str]) -> list[str]:
    functions = [f"{function}({columns[0]})" for function in ("FIRST", "LAST", "MAX", "MIN", "COUNT")]
    return functions + [f"SUM({column})" for column in columns[1:]]


def parse_candles(query: CandleQuery, reply: Reply) -> pl.DataFrame:
    """Read the answer, see ``Dialect.parse_candles``; raises ServerError."""
    fields = _fields(query)
    tags = tag_columns(len(query.schema.tags))

    def rows() -> Iterator[tuple[object, ...]]:
        for series in read_series(reply):
            found = series.get("tags", {})
            names = tuple(found.get(tag, "") for tag in query.schema.tags)
            for time, *values in series["values"]:
                numbers = (
                    None if value is None else read_value(field.type, value)
                    for field, value in zip(fields, values, strict=True)
                )
                yield *names, int(time), *numbers

    columns: dict[str, type[pl.DataType]] = {
        **dict.fromkeys(tags, pl.String),
        "start": pl.Int64,
        **{field.column: ANSWER_TYPES[field.type] for field in fields},
    }
    return pl.DataFrame(rows(), schema=columns, orient="row")


def _fields(query: CandleQuery) -> list[Field]:
    """Return name and type of each value of an answer."""
    price, *amounts = query.schema.fields
    prices = [Field(name, price.type) for name in ("open", "close", "high", "low")]
    prices += [Field("count", FieldType.INTEGER), *(Field("volume", amount.type) for amount in amounts)]
    turnover = [Field("turnover", FieldType.FLOAT)]
    return {
        CandleValues.PRICES: prices,
        CandleValues.TURNOVER: turnover,
        CandleValues.TRADES: prices + turnover,
    }[query.values]
