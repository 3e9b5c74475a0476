"""What the dialects ask and make of the answers, with replies that InfluxDB 2.9.1, 1.8.10 and 1.6.7 gave."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loader.dataset.schema import trades_schema
from loader.errors import ConfigError, Refused
from loader.servers import v2
from loader.servers.base import AggregateQuery, Bucket, PointsQuery, Reply, ReplyKind, Request, Target
from loader.servers.probe import dialects
from loader.servers.v1 import EarlyInfluxDB1
from loader.servers.v2 import InfluxDB2
from tests.datasets import JANUARY_2

TARGET = Target("http://127.0.0.1:8086", "trades", "loader", "token")
SCHEMA = trades_schema()
WEEK = 604_800 * 10**9

ORGANIZATIONS = Reply(200, body=b'{"orgs": [{"id": "7bf54fe8a60007bd", "name": "loader"}]}')
NOTHING_SEEN = Reply(200, body=b'{"orgs": []}')
NO_ORGANIZATION = Reply(404, body=b'{"code": "not found", "message": "organization name \\"nope\\" not found"}')
NO_BUCKET = Reply(404, body=b'{"code": "not found", "message": "bucket \\"trades\\" not found"}')
BUCKET = (
    b'{"id": "9731828736da81bf", "name": "trades", "retentionRules": '
    b'[{"type": "expire", "everySeconds": 3600, "shardGroupDurationSeconds": 604800}]}'
)
DATABASES = Reply(
    200,
    body=b'{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["trades"]]}]}]}',
)
POLICIES = Reply(
    200,
    body=b'{"results":[{"statement_id":0,"series":[{"columns":["name","duration","shardGroupDuration","replicaN",'
    b'"default"],"values":[["old","0s","24h0m0s",1,false],["autogen","1h0m0s","168h0m0s",1,true]]}]}]}',
)
NOTHING = Reply(200, body=b'{"results":[{"statement_id":0}]}')


class Answers:
    """Answers requests in turn with replies that a real server gave, and keeps what was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        """Keep ``request`` and return the next reply."""
        self.requests.append(request)
        return self.replies.pop(0)


def test_a_bucket_of_2_is_looked_for_in_its_organization() -> None:
    """It is asked for by both names, as given; durations become nanoseconds."""
    send = Answers(Reply(200, body=b'{"buckets": [' + BUCKET + b"]}"))
    assert dialects()["2"].find_bucket(send, TARGET) == Bucket("trades", "9731828736da81bf", 3_600 * 10**9, WEEK)
    assert [(request.path, dict(request.params)) for request in send.requests] == [
        ("/api/v2/buckets", {"org": "loader", "name": "trades"}),
    ]


def test_a_bucket_without_rules_is_kept_for_ever() -> None:
    """No retention rule is infinite retention, and shards of unknown duration."""
    send = Answers(Reply(200, body=b'{"buckets": [{"id": "9", "name": "trades", "retentionRules": []}]}'))
    assert dialects()["2"].find_bucket(send, TARGET) == Bucket("trades", "9")


@pytest.mark.parametrize(("version", "replies"), [("1", [NOTHING]), ("2", [NO_BUCKET, ORGANIZATIONS])])
def test_a_missing_bucket_is_none(version: str, replies: list[Reply]) -> None:
    """What is missing is no error: it can be made."""
    assert dialects()[version].find_bucket(Answers(*replies), TARGET) is None


@pytest.mark.parametrize(
    ("org", "replies", "words"),
    [
        ("nope", [NO_ORGANIZATION, NO_ORGANIZATION], "organization 'nope' is unknown"),
        ("", [ORGANIZATIONS], "the token sees: loader"),
        ("", [NOTHING_SEEN], "the token sees: none"),
    ],
)
def test_an_organization_that_is_not_there_is_named(org: str, replies: list[Reply], words: str) -> None:
    """The error tells what the server knows and how to name one."""
    dialect, target = InfluxDB2(), replace(TARGET, org=org)
    for find in (dialect.find_bucket, dialect.find_organization):
        answers = replies if find == dialect.find_bucket else replies[:1]
        with pytest.raises(ConfigError, match=words) as caught:
            find(Answers(*answers), target)
        assert "--org" in caught.value.hint


def test_a_bucket_that_may_not_be_seen_has_its_name() -> None:
    """The server answers 200 with nothing where a bucket is there and the token may not read it."""
    send = Answers(Reply(200, body=b'{"buckets": []}'))
    assert dialects()["2"].find_bucket(send, TARGET) == Bucket("trades")
    other = Reply(200, body=b'{"buckets": [' + BUCKET.replace(b"trades", b"other") + b"]}")
    assert dialects()["2"].find_bucket(Answers(other), TARGET) == Bucket("trades")


def test_an_organization_is_known_by_its_buckets() -> None:
    """A token that may only read and write buckets may make one; one that sees none is told what to do."""
    listed = Reply(200, body=b'{"buckets": [{"orgID": "7bf54fe8a60007bd"}]}')
    assert InfluxDB2().find_organization(Answers(NOTHING_SEEN, listed), TARGET) == "7bf54fe8a60007bd"
    none = Reply(200, body=b'{"buckets": []}')
    with pytest.raises(Refused, match="sees nothing of organization 'loader'") as caught:
        InfluxDB2().find_organization(Answers(NOTHING_SEEN, none), TARGET)
    assert "make the bucket first" in caught.value.hint


def test_a_refused_look_is_an_error() -> None:
    """A token that may not look for the organization stops everything."""
    with pytest.raises(Refused, match="unauthorized"):
        dialects()["2"].find_bucket(Answers(Reply(401, body=b'{"message": "unauthorized access"}')), TARGET)


@pytest.mark.parametrize(("duration", "rule"), [(0, {}), (WEEK, {"shardGroupDurationSeconds": 604_800})])
def test_a_bucket_of_2_is_made_for_ever(duration: int, rule: dict[str, int]) -> None:
    """Retention is infinite; the shard duration is sent only when one is wanted."""
    send = Answers(ORGANIZATIONS, Reply(201, body=BUCKET))
    assert dialects()["2"].create_bucket(send, TARGET, duration).shard_duration == WEEK
    assert json.loads(send.requests[1].body) == {
        "orgID": "7bf54fe8a60007bd",
        "name": "trades",
        "retentionRules": [{"type": "expire", "everySeconds": 0, **rule}],
    }


def test_the_default_policy_of_1_describes_the_database() -> None:
    """Of several retention policies the default one counts."""
    send = Answers(DATABASES, POLICIES)
    assert dialects()["1"].find_bucket(send, TARGET) == Bucket("trades", "", 3_600 * 10**9, WEEK)
    assert dict(send.requests[1].params) == {"q": 'SHOW RETENTION POLICIES ON "trades"'}


@pytest.mark.parametrize(("duration", "words"), [(0, ""), (WEEK, " SHARD DURATION 604800s")])
def test_a_database_of_1_is_made_for_ever(duration: int, words: str) -> None:
    """Its name is quoted, its retention infinite."""
    send = Answers(NOTHING)
    dialects()["1"].create_bucket(send, Target(TARGET.url, 'a"b\\c'), duration)
    statement = f'CREATE DATABASE "a\\"b\\\\c" WITH DURATION INF{words} NAME "autogen"'
    assert dict(send.requests[0].params) == {"q": statement}


DATABASE_WITH_POLICY = replace(TARGET, bucket="trades/old")


def test_a_policy_of_1_is_looked_for_by_its_name() -> None:
    """DATABASE/POLICY is that policy, default or not; one that is missing can be made."""
    dialect = dialects()["1"]
    day = 86_400 * 10**9
    assert dialect.find_bucket(Answers(DATABASES, POLICIES), DATABASE_WITH_POLICY) == Bucket("trades/old", "", 0, day)
    other = replace(TARGET, bucket="trades/other")
    assert dialect.find_bucket(Answers(DATABASES, POLICIES), other) is None
    assert dialect.find_bucket(Answers(NOTHING), other) is None


@pytest.mark.parametrize(
    ("databases", "statement"),
    [
        (DATABASES, 'CREATE RETENTION POLICY "old" ON "trades" DURATION INF REPLICATION 1 SHARD DURATION 604800s'),
        (NOTHING, 'CREATE DATABASE "trades" WITH DURATION INF SHARD DURATION 604800s NAME "old"'),
    ],
)
def test_a_policy_of_1_is_made_with_its_database(databases: Reply, statement: str) -> None:
    """In a database that is there, only the policy is made."""
    send = Answers(databases, NOTHING)
    assert dialects()["1"].create_bucket(send, DATABASE_WITH_POLICY, WEEK) == Bucket("trades/old", shard_duration=WEEK)
    assert dict(send.requests[1].params) == {"q": statement}


def test_a_policy_of_1_is_written_and_asked() -> None:
    """Lines and queries name database and policy apart, but for /api/v2/write, which takes both as the bucket."""
    early, current = EarlyInfluxDB1(), dialects()["1"]
    aggregate = AggregateQuery(SCHEMA, SCHEMA.fields[:1], "count", JANUARY_2, JANUARY_2 + 1)
    assert dict(current.build_write(DATABASE_WITH_POLICY, b"", gzipped=False).params)["bucket"] == "trades/old"
    for request in (
        early.build_write(DATABASE_WITH_POLICY, b"", gzipped=False),
        current.build_aggregate(DATABASE_WITH_POLICY, aggregate),
        current.build_fields(DATABASE_WITH_POLICY, SCHEMA, JANUARY_2, JANUARY_2 + 1),
    ):
        assert {("db", "trades"), ("rp", "old")} <= set(request.params)


@pytest.mark.parametrize("bucket", ["trades/", "/old", "/", "a/b/c"])
def test_half_a_policy_is_refused(bucket: str) -> None:
    """The error says how to write a database with a policy."""
    with pytest.raises(ConfigError, match="not a database") as caught:
        dialects()["1"].find_bucket(Answers(), replace(TARGET, bucket=bucket))
    assert "DATABASE/RETENTION_POLICY" in caught.value.hint


def test_a_database_without_a_default_policy_is_named() -> None:
    """Nothing could be written to it; a policy has to be named."""
    policies = Reply(200, body=POLICIES.body.replace(b"true", b"false"))
    with pytest.raises(ConfigError, match="no default retention policy") as caught:
        dialects()["1"].find_bucket(Answers(DATABASES, policies), TARGET)
    assert "--bucket trades/POLICY" in caught.value.hint


def test_policies_that_may_not_be_seen() -> None:
    """A user who may only write is told nothing of policies: the name is all there is; other refusals stay."""
    refused = Reply(403, body=b'{"error":"not authorized to execute statement"}')
    assert dialects()["1"].find_bucket(Answers(DATABASES, refused), TARGET) == Bucket("trades")
    with pytest.raises(Refused, match="401"):
        dialects()["1"].find_bucket(Answers(DATABASES, Reply(401)), TARGET)


def test_an_error_inside_a_good_reply_of_1_is_an_error() -> None:
    """InfluxQL answers 200 for statements that failed."""
    body = b'{"results":[{"statement_id":0,"error":"retention policy conflicts with an existing policy"}]}'
    with pytest.raises(Refused, match="conflicts"):
        dialects()["1"].create_bucket(Answers(Reply(200, body=body)), TARGET, 0)


@pytest.mark.parametrize(("version", "path"), [("1", "/query"), ("2", "/api/v2/query")])
def test_each_dialect_asks_in_its_own_language(version: str, path: str) -> None:
    """Counts and points are asked with InfluxQL or Flux; an empty answer is an empty frame."""
    dialect = dialects()[version]
    aggregate = AggregateQuery(SCHEMA, SCHEMA.fields[:1], "count", JANUARY_2, JANUARY_2 + 1)
    points = PointsQuery(SCHEMA, ("AAPL", "buy"), JANUARY_2, JANUARY_2 + 1)
    nothing = NOTHING if version == "1" else Reply(200, body=b"\r\n")
    assert dialect.build_aggregate(TARGET, aggregate).path == path
    assert dialect.build_points(TARGET, points).path == path
    assert dialect.build_fields(TARGET, SCHEMA, JANUARY_2, JANUARY_2 + 1).path == path
    assert dialect.parse_aggregate(aggregate, nothing).is_empty()
    assert dialect.parse_fields(nothing) == []
    assert dialect.parse_points(points, nothing).is_empty()


@pytest.mark.parametrize(("gzipped", "encoding"), [(True, "gzip"), (False, "identity")])
def test_1_8_and_2_are_written_to_by_names(gzipped: bool, encoding: str) -> None:
    """Organization and bucket go as given, with the precision and the compression, to /api/v2/write."""
    for version in "12":
        request = dialects()[version].build_write(TARGET, b"m f=1", gzipped=gzipped)
        assert (request.method, request.path, request.body) == ("POST", "/api/v2/write", b"m f=1")
        assert dict(request.params) == {"org": "loader", "bucket": "trades", "precision": "ns"}
        assert request.headers["Content-Encoding"] == encoding
        assert request.reply is ReplyKind.WRITE


def test_buckets_of_2_are_listed_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server lists a hundred at a time, and is not asked without an end; those with other names are left out."""
    page = [json.loads(BUCKET) | {"name": f"tune-{number}", "description": "mine"} for number in range(100)]
    pages = [Reply(200, body=json.dumps({"buckets": each}).encode()) for each in (page, [json.loads(BUCKET)])]
    send = Answers(*pages)
    found = dialects()["2"].list_buckets(send, TARGET, "tune-1")
    assert [(bucket.name, bucket.description) for bucket in found][:2] == [("tune-1", "mine"), ("tune-10", "mine")]
    assert len(found) == 11
    assert [dict(request.params)["offset"] for request in send.requests] == ["0", "100"]
    monkeypatch.setattr(v2, "_MOST_BUCKETS", 100)
    assert len(dialects()["2"].list_buckets(Answers(pages[0]), TARGET, "tune-")) == 100


def test_databases_are_listed_with_their_default_policies() -> None:
    """Others are not asked for; one without a default policy has no description."""
    unusual = Reply(200, body=POLICIES.body.replace(b"true", b"false"))
    assert dialects()["1"].list_buckets(Answers(DATABASES, unusual), TARGET, "t") == [Bucket("trades")]
    assert dialects()["1"].list_buckets(Answers(DATABASES), TARGET, "x") == []


@pytest.mark.parametrize(("gzipped", "encoding"), [(True, "gzip"), (False, "identity")])
def test_before_1_8_lines_go_to_write(gzipped: bool, encoding: str) -> None:
    """The database, the precision and the compression are named."""
    request = EarlyInfluxDB1().build_write(TARGET, b"m f=1", gzipped=gzipped)
    assert (request.method, request.path, request.body) == ("POST", "/write", b"m f=1")
    assert dict(request.params) == {"db": "trades", "precision": "ns"}
    assert request.headers["Content-Encoding"] == encoding


def test_before_1_8_a_user_and_password_are_sent_as_such() -> None:
    """Every request carries them in the form of RFC 7617, which 1.6 reads; a token of another form stays as it is."""
    dialect = EarlyInfluxDB1()
    target = replace(TARGET, token="Aladdin:open sesame")
    aggregate = AggregateQuery(SCHEMA, SCHEMA.fields[:1], "count", JANUARY_2, JANUARY_2 + 1)
    send = Answers(DATABASES, POLICIES, NOTHING)
    assert dialect.find_bucket(send, target) == Bucket("trades", "", 3_600 * 10**9, WEEK)
    dialect.create_bucket(send, target, 0)
    send.replies += [DATABASES, POLICIES, NOTHING]
    assert dialect.list_buckets(send, target, "tra") == [Bucket("trades", description="autogen")]
    dialect.remove_bucket(send, target, Bucket("trades/old"))
    assert dict(send.requests[-1].params) == {"q": 'DROP DATABASE "trades"'}
    requests = [
        *send.requests,
        dialect.build_write(target, b"", gzipped=False),
        dialect.build_aggregate(target, aggregate),
        dialect.build_fields(target, SCHEMA, JANUARY_2, JANUARY_2 + 1),
        dialect.build_points(target, PointsQuery(SCHEMA, ("AAPL", "buy"), JANUARY_2, JANUARY_2 + 1)),
    ]
    assert {request.headers["Authorization"] for request in requests} == {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    assert "QWxhZGRpbj" not in repr(requests)
    assert "Authorization" not in dialect.build_write(TARGET, b"", gzipped=False).headers
