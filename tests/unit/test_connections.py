"""Connections: their fields, every mistake at once, and what of them is shown."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any, Literal

import pytest

from penstock.app import reset
from penstock.connections import (
    BadFields,
    BigQueryConnection,
    Connection,
    HttpConnection,
    InfluxConnection,
    KafkaConnection,
    Port,
    PostgresConnection,
    S3Connection,
    Seconds,
    Secret,
    SecretUrl,
    SnowflakeConnection,
    SqlConnection,
)
from penstock.core.errors import BadConnection, ConfigurationError, ConnectionNotFound
from penstock.engine.connections import types
from penstock.engine.connections.types import BUILT_IN, every_type, type_named, type_of_scheme


class Crm(Connection):
    """A CRM.

    Attributes:
        host: where it is,
            and how it is called.
        token: of a technical user.
    """

    kind = "crm"
    schemes = ("crm",)
    host: str
    token: Secret
    port: Port = 443
    level: Literal["low", "high"] = "low"
    verify: bool = True
    seconds: Seconds | None = None
    names: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None


def mistakes(made: Any, **given: Any) -> dict[str, str]:
    with pytest.raises(BadFields) as caught:
        made(**given)
    return dict(caught.value.mistakes)


def test_a_type_is_a_small_class() -> None:
    crm = Crm(host="crm.example", token="tell-nobody")
    assert (crm.host, crm.port, crm.verify, crm.seconds) == ("crm.example", 443, True, None)
    assert crm.token == Secret("tell-nobody")
    assert crm.token.reveal() == "tell-nobody"
    fields = Crm.fields()
    assert list(fields) == ["host", "token", "port", "level", "verify", "seconds", "names", "labels"]
    assert (fields["host"].told, fields["token"].told) == ("where it is, and how it is called.", "of a technical user.")
    assert [name for name, field in fields.items() if field.required] == ["host", "token"]
    assert [name for name, field in fields.items() if field.secret] == ["token"]


def test_every_mistake_is_told_at_once_and_no_value() -> None:
    found = mistakes(
        Crm, token=5, port=99_999, level="middle", verify="perhaps", seconds="-1", names="a,,b", labels="{", hosst="x"
    )
    assert found == {
        "host": "is missing; it is a text",
        "token": "must be a text",
        "port": "must be a whole number from 1 to 65,535",
        "level": "must be one of low, high",
        "verify": "must be true or false",
        "seconds": "must be a number from 0.001 to 86,400",
        "names": "must not be empty",
        "labels": 'must be texts by name, such as {"name": "value"}',
        "hosst": "is not a field; there are: host, token, port, level, verify, seconds, names, labels",
    }


@pytest.mark.parametrize(
    ("name", "given", "held"),
    [
        ("port", "80", 80),
        ("verify", "No", False),
        ("verify", "1", True),
        ("seconds", "2.5", 2.5),
        ("seconds", 3, 3.0),
        ("seconds", None, None),
        ("names", "a, b", ("a", "b")),
        ("names", ["a"], ("a",)),
        ("labels", '{"a": "b"}', {"a": "b"}),
    ],
)
def test_texts_are_read_as_what_is_wanted(name: str, given: Any, held: Any) -> None:
    made = Crm.of({"host": "h", "token": "t", name: given})
    assert getattr(made, name) == held


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("host", ""),
        ("host", "a\nb"),
        ("host", "\x00"),
        ("host", "\ud800"),
        ("host", None),
        ("host", 5),
        ("token", ""),
        ("token", "\udfff"),
        ("token", None),
        ("port", True),
        ("port", 1.5),
        ("port", "1_0x"),
        ("port", 0),
        ("seconds", float("nan")),
        ("seconds", float("inf")),
        ("verify", 1),
        ("level", ""),
        ("names", []),
        ("names", [1]),
        ("labels", {"a": 1}),
        ("labels", [["a", "b"]]),
    ],
)
def test_what_does_not_fit(name: str, given: Any) -> None:
    assert list(mistakes(Crm, **{"host": "h", "token": "t", name: given})) == [name]


def test_a_connection_does_not_change() -> None:
    crm = Crm(host="h", token="t")
    with pytest.raises(AttributeError, match=r"replace\(host"):
        crm.host = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del crm.host
    with pytest.raises(AttributeError):
        crm.token._reveal = lambda: "x"
    other = crm.replace(host="other", names="a,b")
    assert (crm.host, other.host, other.names, other.token) == ("h", "other", ("a", "b"), crm.token)
    assert copy.copy(crm) is copy.deepcopy(crm) is crm
    assert crm == Crm(host="h", token="t") != other
    assert len({crm, Crm(host="h", token="t"), other, other.replace(labels={"a": "b"})}) == 3
    assert crm != "crm"


def test_a_field_cannot_be_called_as_a_method_is() -> None:
    with pytest.raises(TypeError, match="cannot be called load, name"):

        class Bad(Connection):
            load: str
            name: str  # type: ignore[assignment]

    class Odd(Connection):
        kind = "odd"
        when: bytes

    with pytest.raises(TypeError, match="when: a connection cannot have"):
        Odd(when=b"")


def test_what_is_shown() -> None:
    crm = Crm(host="h", token="tell-nobody", names=("a",), labels={"b": "c"})
    assert repr(crm) == "Crm(host='h', token=***, names=('a',), labels={'b': 'c'})"
    assert crm.shown() == {
        "host": "h", "token": "***", "port": 443, "level": "low", "verify": True, "seconds": None, "names": ["a"],
        "labels": {"b": "c"},
    }  # fmt: skip
    assert json.loads(json.dumps(crm.shown())) == crm.shown()
    assert (str(crm.token), repr(crm.token), f"{crm.token:>5}") == ("***", "Secret('***')", "  ***")
    assert repr(SecretUrl("mysql://u:p@h/d?x=1")) == "SecretUrl('mysql://u:***@h/d?***')"


def test_await_gives_the_connection() -> None:
    crm = Crm(host="h", token="t")

    async def work() -> Connection:
        return await crm

    assert asyncio.run(work()) is crm


def test_what_came_with_penstock() -> None:
    assert {kind: cls.kind for kind, cls in every_type().items() if kind in BUILT_IN} == {k: k for k in BUILT_IN}
    for kind, cls in every_type().items():
        if kind in BUILT_IN:
            assert cls.__doc__
            assert [name for name, field in cls.fields().items() if not field.told] == [], "each field is explained"
    assert type_named("crm") is Crm, "what the project has imported counts"
    assert (type_of_scheme("crm"), type_of_scheme("postgres")) == (Crm, PostgresConnection)
    assert type_of_scheme("mysql+pymysql") is type_of_scheme("sqlite") is SqlConnection
    assert type_of_scheme("potgres") is None
    with pytest.raises(BadConnection, match="no connection type 'nothing'"):
        type_named("nothing")


def _package(folder: Path, name: str, lines: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(lines)


def test_types_of_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "erp_things.py").write_text(
        "from penstock.connections import Connection\n"
        "class ErpConnection(Connection):\n    'An ERP.'\n    kind = 'erp'\n    schemes = ('erp',)\n    host: str\n"
        "SOURCE = object()\n"
    )
    _package(tmp_path, "erp", "[penstock.connectors]\nerp = erp_things:ErpConnection\nsource = erp_things:SOURCE\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    types._installed.cache_clear()
    try:
        assert type_named("erp").__name__ == "ErpConnection"
        scheme = type_of_scheme("erp")
        assert scheme is type_named("erp")
        assert "source" not in every_type(), "what else is in the group is no connection"
        _package(tmp_path, "other", "[penstock.stores]\nerp = elsewhere:Erp\n")
        types._installed.cache_clear()
        with pytest.raises(ConfigurationError, match="Two packages give the connection type 'erp'"):
            types.types()
        _package(tmp_path, "more", "[penstock.stores]\npostgres = elsewhere:Postgres\n")
        (tmp_path / "other-1.0.dist-info" / "entry_points.txt").write_text("")
        types._installed.cache_clear()
        with pytest.raises(ConfigurationError, match="the connection type 'postgres'"):
            types.types()
    finally:
        types._installed.cache_clear()


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("postgresql://db", {"host": "db"}),
        ("postgres://u:p%40ss%2Fw@db:6432/shop", {"host": "db", "port": 6432, "user": "u", "database": "shop"}),
        ("postgresql:///shop", {"host": "localhost", "database": "shop"}),
        ("postgresql://u@[::1]:6432/shop?sslmode=require", {"host": "::1", "port": 6432, "sslmode": "require"}),
        ("postgresql://u@a:1,b:1/shop", {"host": "a,b", "port": 1}),
        ("postgresql://%2Fvar%2Frun/shop", {"host": "/var/run"}),
        ("postgresql://u:a@b?connect_timeout=3&password=x", {"connect_timeout_seconds": 3.0}),
    ],
)
def test_postgres_urls(url: str, fields: dict[str, Any]) -> None:
    found = PostgresConnection.from_url(url)
    assert {name: getattr(found, name) for name in fields} == fields
    again = PostgresConnection.from_url(found.url())
    assert again == found


def test_a_password_in_a_postgres_url() -> None:
    found = PostgresConnection.from_url("postgresql://u:p%40s%2Fs@db/shop")
    assert found.password == Secret("p@s/s")
    assert PostgresConnection.from_url("postgresql://u:p@s/s@db/shop").password == Secret("p@s/s")
    assert "u:p%40s%2Fs@db:5432/shop" in found.url("psycopg")
    assert found.url("psycopg").startswith("postgresql+psycopg://")
    assert found.parameters()["password"] == "p@s/s"
    assert found.replace(statement_timeout_seconds=2).parameters()["options"] == "-c statement_timeout=2000"


@pytest.mark.parametrize(
    ("made", "given", "wrong"),
    [
        (PostgresConnection, {"url": "postgresql://u:12?ss@db/shop"}, "url"),
        (PostgresConnection, {"url": "postgresql://u:sesame/@db:x"}, "port"),
        (PostgresConnection, {"url": "postgresql://a:1,b:2/x"}, "url"),
        (PostgresConnection, {"url": "postgresql://u:12#sesame@db/shop"}, "url"),
        (PostgresConnection, {"url": "postgresql://db/shop?host=sesame@x"}, "url"),
        (PostgresConnection, {"url": 5}, "url"),
        (PostgresConnection, {"pool_min": 5, "pool_max": 2}, "pool_min"),
        (PostgresConnection, {"sslkey": "k"}, "sslkey"),
        (HttpConnection, {"base_url": "ftp://x"}, "base_url"),
        (HttpConnection, {"base_url": "https://[x"}, "base_url"),
        (HttpConnection, {"base_url": "https://sesame@x/"}, "base_url"),
        (HttpConnection, {"base_url": "https://x/?key=sesame"}, "base_url"),
        (HttpConnection, {"base_url": "https://x", "auth": "bearer"}, "token"),
        (HttpConnection, {"base_url": "https://x", "token": "sesame"}, "token"),
        (HttpConnection, {"base_url": "https://x", "headers": {"Authorization": "sesame"}}, "headers"),
        (S3Connection, {"access_key": "a"}, "secret_key"),
        (S3Connection, {"secret_key": "sesame"}, "access_key"),
        (S3Connection, {"session_token": "sesame"}, "session_token"),
        (S3Connection, {"endpoint": "http://x"}, "endpoint"),
        (S3Connection, {"url": "s3://bucket/sesame"}, "url"),
        (KafkaConnection, {"bootstrap_servers": "u:sesame@h:1"}, "bootstrap_servers"),
        (KafkaConnection, {"bootstrap_servers": "h", "security_protocol": "SASL_SSL"}, "sasl_mechanism"),
        (KafkaConnection, {"bootstrap_servers": "h", "sasl_username": "u"}, "sasl_username"),
        (
            KafkaConnection,
            {"bootstrap_servers": "h", "schema_registry_url": "https://u:sesame@h"},
            "schema_registry_url",
        ),
        (SqlConnection, {"url": "sesame"}, "url"),
        (InfluxConnection, {"url": "http://x?token=sesame"}, "url"),
        (SnowflakeConnection, {"account": "a", "user": "u"}, "password"),
        (
            BigQueryConnection,
            {"project": "p", "credentials_file": "f", "credentials_json": "sesame"},
            "credentials_json",
        ),
    ],
)
def test_what_the_types_refuse(made: type[Connection], given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadFields) as caught:
        made.of(given)
    assert wrong in dict(caught.value.mistakes)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://anna:sesame@api.example/v2", {"base_url": "https://api.example/v2", "auth": "basic"}),
        (
            "s3://key:sesame@raw?endpoint=https://s3.example&region=eu",
            {"bucket": "raw", "endpoint": "https://s3.example"},
        ),
        ("kafka://a:9092,b:9092", {"bootstrap_servers": ["a:9092", "b:9092"]}),
        ("snowflake://u:sesame@acc/db/sch?warehouse=w&role=r", {"account": "acc", "schema": "sch", "warehouse": "w"}),
        ("bigquery://project/data", {"project": "project", "dataset": "data"}),
        ("mysql+pymysql://u:sesame@h:3306/d?ssl=1", {"url": "mysql+pymysql://u:***@h:3306/d?***"}),
    ],
)
def test_other_urls(url: str, shown: dict[str, Any]) -> None:
    cls = type_of_scheme(url.partition("://")[0])
    assert cls is not None
    found = cls.from_url(url)
    assert {name: found.shown()[name] for name in shown} == shown
    assert "sesame" not in f"{found!r} {found.shown()}"


def test_what_clients_are_given() -> None:
    s3 = S3Connection(endpoint="http://h:1", allow_http=True, access_key="a", secret_key="b", bucket="raw")
    options = s3.storage_options()
    assert (options["aws_secret_access_key"], options["allow_http"]) == ("b", "true")
    kafka = KafkaConnection(
        bootstrap_servers=("a:1", "b:2"), security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u",
        sasl_password="p", verify=False,
    )  # fmt: skip
    config = kafka.config()
    assert (config["bootstrap.servers"], config["sasl.password"]) == ("a:1,b:2", "p")
    assert config["enable.ssl.certificate.verification"] is False


def test_which_secrets_are_asked_for() -> None:
    assert PostgresConnection.asks({}) == ["password"]
    assert PostgresConnection.asks({"url": "x"}) == HttpConnection.asks({}) == []
    assert HttpConnection.asks({"auth": "oauth2"}) == ["client_secret"]
    assert S3Connection.asks({"access_key": "a"}) == ["secret_key"]
    assert SqlConnection.asks({}) == ["url"]


def test_names() -> None:
    for name in ("", "A", "1a", "a b", "ä", "a/b", "a" * 101, 5):
        with pytest.raises(BadConnection, match="cannot be the name"):
            Connection.load(name)  # type: ignore[arg-type]
    with pytest.raises(ConnectionNotFound, match="PENSTOCK_CONNECTION_WARE_HOUSE is not set"):
        Connection.load("ware-house")
    reset()
