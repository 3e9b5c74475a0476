"""Whether a bucket holds fields of the dataset in other types: lines that have them are refused."""

from __future__ import annotations

from loader.dataset.manifest import Manifest
from loader.errors import ConfigError, ServerError
from loader.events import Noted, Observer
from loader.servers import influxql
from loader.servers.base import Target
from loader.servers.probe import Server
from loader.servers.restore import takes_files
from loader.servers.transport import Connection


def note_other_types(
    connection: Connection, server: Server, target: Target, manifest: Manifest, observe: Observer
) -> None:
    """Say which fields of the dataset the bucket holds in other types only; a server that does not tell is passed over.

    A type holds within a shard, so lines of other times may be taken all the same.
    """
    # InfluxDB 2 answers InfluxQL too, and Flux has no question for types.
    build = influxql.build_fields if takes_files(server.dialect) else server.dialect.build_fields
    try:
        types = influxql.parse_types(connection.send(build(target, manifest.schema, 0, 0)))
    except (ConfigError, ServerError):  # also for a measurement that InfluxQL cannot spell
        return
    for field in manifest.schema.fields:
        known = types.get(field.column, {field.type})
        if field.type not in known:
            observe(
                Noted(
                    f"field {field.column!r} is {field.type} in the dataset and {' and '.join(sorted(known))} in bucket"
                    f" {target.bucket!r}: where it is so, lines are refused"
                )
            )
