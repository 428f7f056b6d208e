"""Kafka."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from penstock.core.connections import Connection, ConnectionFailed, Seconds, Secret
from penstock.core.extras import require
from penstock.engine.connections.probing import ask, tls_context, url_mistakes
from penstock.engine.connections.urls import url_parts

_silent = logging.getLogger("penstock.silent.kafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class KafkaConnection(Connection):
    """A Kafka cluster, and its schema registry.

    Attributes:
        bootstrap_servers: host:port of some brokers, with commas between them.
        security_protocol: whether TLS and SASL are used.
        sasl_mechanism: how SASL knows us.
        sasl_username: for SASL.
        sasl_password: for SASL.
        ssl_ca_file: a file with the authorities that may sign the brokers' certificates, instead of the system's.
        ssl_cert_file: a file with a certificate of our own.
        ssl_key_file: a file with its key.
        ssl_key_password: of the key.
        verify: the brokers' certificates, and their names, are checked.
        schema_registry_url: where schemas are, if there is a registry.
        schema_registry_username: for the registry.
        schema_registry_password: for the registry.
        client_id: what we call ourselves.
        timeout_seconds: how long a request may take.
    """

    kind = "kafka"
    schemes = ("kafka",)

    bootstrap_servers: tuple[str, ...]
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: Secret | None = None
    ssl_ca_file: str | None = None
    ssl_cert_file: str | None = None
    ssl_key_file: str | None = None
    ssl_key_password: Secret | None = None
    verify: bool = True
    schema_registry_url: str | None = None
    schema_registry_username: str | None = None
    schema_registry_password: Secret | None = None
    client_id: str = "penstock"
    timeout_seconds: Seconds = 30.0

    @classmethod
    def parts(cls, url: str) -> dict[str, Any]:
        """See `Connection.parts`: `kafka://host:9092,other:9092`."""
        parts = url_parts(url)
        given: dict[str, Any] = {"bootstrap_servers": parts.place.rstrip("/")}
        return given | parts.named("sasl_username", "sasl_password")

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: the passwords of the users that are given."""
        users = {"sasl_password": "sasl_username", "schema_registry_password": "schema_registry_username"}
        return [secret for secret, user in users.items() if user in given]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        if any("@" in server or "/" in server for server in self.bootstrap_servers):
            yield "bootstrap_servers", "must be host:port, with commas between several; passwords have fields of theirs"
        sasl = {name: getattr(self, name) for name in ("sasl_mechanism", "sasl_username", "sasl_password")}
        for name, value in sasl.items():
            if self.security_protocol.startswith("SASL") and value is None:
                yield name, f"is missing: security_protocol is {self.security_protocol}"
            elif not self.security_protocol.startswith("SASL") and value is not None:
                yield name, "is for SASL: set security_protocol to SASL_SSL"
        if (self.schema_registry_username is None) != (self.schema_registry_password is None):
            yield "schema_registry_username", "goes together with schema_registry_password"
        if self.schema_registry_url is None and self.schema_registry_username is not None:
            yield "schema_registry_url", "is missing"
        yield from url_mistakes("schema_registry_url", self.schema_registry_url)

    def config(self) -> dict[str, Any]:
        """What librdkafka (confluent_kafka) takes. The passwords are in it."""
        given: dict[str, Any] = {
            "bootstrap.servers": ",".join(self.bootstrap_servers),
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.sasl_username,
            "sasl.password": self.sasl_password.reveal() if self.sasl_password else None,
            "ssl.ca.location": self.ssl_ca_file,
            "ssl.certificate.location": self.ssl_cert_file,
            "ssl.key.location": self.ssl_key_file,
            "ssl.key.password": self.ssl_key_password.reveal() if self.ssl_key_password else None,
            "client.id": self.client_id,
        }
        if "SSL" in self.security_protocol.split("_"):
            given["enable.ssl.certificate.verification"] = self.verify
            given["ssl.endpoint.identification.algorithm"] = "https" if self.verify else "none"
        return {name: value for name, value in given.items() if value is not None}

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        admin = require("confluent_kafka.admin", "kafka")
        said: list[str] = []
        config = {**self.config(), "error_cb": lambda error: said.append(str(error.str())), "log_level": 3}
        client = admin.AdminClient(config, logger=_silent)
        try:
            found = client.list_topics(timeout=min(seconds, self.timeout_seconds))
        except Exception as error:
            client.poll(0)  # what it has said meanwhile
            told = error.args[0].str() if error.args and hasattr(error.args[0], "str") else str(error)
            raise ConnectionFailed(_reason(said) or told, hint=_HINT) from None
        brokers, topics = len(found.brokers), len(found.topics)
        told = f"{brokers} {'broker' if brokers == 1 else 'brokers'}, {topics} {'topic' if topics == 1 else 'topics'}"
        return f"{told}, {self._check_registry(seconds)}" if self.schema_registry_url else told

    def _check_registry(self, seconds: float) -> str:
        assert self.schema_registry_url is not None
        headers = {}
        if self.schema_registry_password is not None:
            userinfo = f"{self.schema_registry_username}:{self.schema_registry_password.reveal()}"
            headers["Authorization"] = "Basic " + base64.b64encode(userinfo.encode()).decode()
        url = f"{self.schema_registry_url.rstrip('/')}/subjects"
        status = ask(url, seconds, headers=headers, tls=tls_context(self.verify, self.ssl_ca_file)).status
        if status != 200:
            raise ConnectionFailed(f"the schema registry answered {status}", hint="check the schema_registry_ fields")
        return "a schema registry"


_HINT = "check bootstrap_servers, security_protocol and the SASL fields, and that the brokers are up"


def _reason(said: list[str]) -> str:
    """What librdkafka said first about a broker; that all of them are down follows from it."""
    telling = [line for line in said if "brokers are down" not in line]
    return telling[0] if telling else ""
