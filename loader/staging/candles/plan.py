"""What candles are computed from, and what points they become; pure, with no input or output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loader.dataset.instant import DAY
from loader.dataset.schema import Field, FieldType, PointSchema
from loader.errors import ConfigError
from loader.printable import listed
from loader.staging.candles.settings import CandleRule

TIME = "time"
_NUMBERS = (FieldType.FLOAT, FieldType.INTEGER, FieldType.UNSIGNED)
_SECOND = 1_000_000_000
_UNITS = (("d", DAY), ("h", 3_600 * _SECOND), ("m", 60 * _SECOND), ("s", _SECOND))


@dataclass(frozen=True)
class CandlePlan:
    """The candles of the points of ``source`` by the tags ``by``, in windows of ``every`` nanoseconds."""

    source: PointSchema
    price: Field
    amount: Field | None
    by: tuple[str, ...]
    every: int

    @property
    def columns(self) -> PointSchema:
        """The schema of what is read of the source: its field 0 is the price, field 1 the amount if there is one."""
        fields = (self.price, self.amount) if self.amount else (self.price,)
        return replace(self.source, tags=self.by, fields=fields)

    def points(self, measurement: str) -> PointSchema:
        """Return the schema of the candles as points of ``measurement``, or of ``candles_`` with the window."""
        fields = [Field(name, self.price.type) for name in ("open", "high", "low", "close")]
        fields.append(Field("count", FieldType.INTEGER))
        if self.amount:
            fields += [Field("volume", self.amount.type), Field("vwap", FieldType.FLOAT)]
        return PointSchema(measurement or f"candles_{every_text(self.every)}", self.by, tuple(fields), TIME)


def plan_candles(rule: CandleRule, schemas: Sequence[PointSchema]) -> CandlePlan:
    """Return what ``rule`` means for a dataset of ``schemas``; raises ConfigError for what does not fit them."""
    _check_every(rule.every)
    schema = _schema(rule.measurement, schemas)
    numbers = {field.column: field for field in schema.fields if field.type in _NUMBERS}
    price = _field(schema, numbers, "price", rule.price or _usual_price(schema, numbers))
    usual = "amount" if "amount" in numbers and price.column != "amount" else ""
    name = usual if rule.amount is None else rule.amount
    amount = _field(schema, numbers, "amount", name) if name else None
    if amount == price:
        raise ConfigError(f"{name!r} is both price and amount", hint="name two fields: --price, --amount")
    by = rule.by if rule.by is not None else ("symbol",) if "symbol" in schema.tags else schema.tags
    plan = CandlePlan(schema, price, amount, by, rule.every)
    taken = [*(field.column for field in plan.points("").fields), TIME]
    for tag in by:
        if tag not in schema.tags:
            known = ", ".join(schema.tags) or "none"
            raise ConfigError(f"{tag!r} is no tag of {schema.measurement!r}", hint=f"its tags are: {known}")
        if tag in taken or by.count(tag) > 1:
            why = "a candle has a field or time of that name" if tag in taken else "it is named twice"
            raise ConfigError(f"candles by the tag {tag!r}: {why}", hint="name other tags: --by")
    return plan


def every_text(every: int) -> str:
    """Return the length of a window (nanoseconds) in its largest unit, such as 1m."""
    return next(f"{every // size}{unit}" for unit, size in _UNITS if every % size == 0)


def _check_every(every: int) -> None:
    if every < _SECOND or every % _SECOND or DAY % every:
        raise ConfigError(
            f"windows of {every / _SECOND:g} s: a UTC day is no multiple of that",
            hint="use seconds, minutes or hours that divide a day, or 1d: --every 1m, 5m, 1h, 1d",
        )


def _schema(measurement: str, schemas: Sequence[PointSchema]) -> PointSchema:
    found = [schema for schema in schemas if measurement in {"", schema.measurement}]
    if len(found) != 1:
        what = f"no measurement {measurement!r}" if measurement else f"{len(schemas)} measurements"
        known = listed([schema.measurement for schema in schemas], 12)
        raise ConfigError(f"the dataset has {what}", hint=f"name one: --measurement; there are: {known}")
    return found[0]


def _usual_price(schema: PointSchema, numbers: dict[str, Field]) -> str:
    if "price" in numbers or not numbers:
        return "price"
    if len(numbers) > 1:
        raise ConfigError(
            f"which field of {schema.measurement!r} is the price is not known",
            hint=f"name it: --price; its numbers are: {listed([*numbers], 12)}",
        )
    return next(iter(numbers))


def _field(schema: PointSchema, numbers: dict[str, Field], role: str, name: str) -> Field:
    if name not in numbers:
        known = listed([*numbers], 12) or "none"
        raise ConfigError(
            f"{name!r} is no field of numbers of {schema.measurement!r}, and cannot be the {role}",
            hint=f"its numbers are: {known}",
        )
    return numbers[name]
