"""Parts of Flux queries as text; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from loader.dataset.instant import instant
from loader.dataset.schema import Field
from loader.servers.base import ReplyKind, Request, Target


def string(text: str) -> str:
    """Return a Flux string literal of ``text``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "\\${")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped) + '"'


def any_field(fields: Sequence[Field]) -> str:
    """Return the condition that the field is one of ``fields``."""
    return tree([f"r._field == {string(field.column)}" for field in fields], "or")


def tree(conditions: Sequence[str], operator: str) -> str:
    """Return ``conditions`` joined in pairs: the server refuses deep nesting, which a long chain would be."""
    if len(conditions) == 1:
        return conditions[0]
    middle = len(conditions) // 2
    left, right = (tree(part, operator) for part in (conditions[:middle], conditions[middle:]))
    return f"({left} {operator} {right})"


def source(target: Target, start: int, stop: int) -> str:
    """Return what reads the points of the target's bucket with ``start`` <= time < ``stop`` (nanoseconds)."""
    return f"from(bucket: {string(target.bucket)}) |> range(start: {instant(start)}, stop: {instant(stop)})"


def request(target: Target, text: str) -> Request:
    """Return the request for the query ``text``, answered with CSV without annotations."""
    dialect = {"annotations": [], "header": True}
    return Request(
        method="POST",
        path="/api/v2/query",
        params=(("org", target.org),),
        headers={"Content-Type": "application/json", "Accept": "application/csv"},
        body=json.dumps({"query": text, "type": "flux", "dialect": dialect}).encode(),
        reply=ReplyKind.ANSWER,
    )
