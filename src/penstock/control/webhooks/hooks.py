"""A webhook: where requests come in, whose they may be, and what is made of them."""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from penstock.control.webhooks.requests import BadWebhook, Refused, Request
from penstock.control.webhooks.signatures import Signature
from penstock.control.webhooks.templates import template_of
from penstock.core.extras import require

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")
MOST_BYTES = 25_000_000
_Moment = Annotated[datetime.datetime, msgspec.Meta(tz=True)]


class HookSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A secret by the name of the saved connection that holds it, and when it is valid. Several may be at once.

    Attributes:
        connection: its name.
        since: from then on; always where left out.
        until: until then.
    """

    connection: str
    since: _Moment | None = None
    until: _Moment | None = None

    def valid(self, at: int) -> bool:
        """Whether it counts at this time (microseconds)."""
        now = datetime.datetime.fromtimestamp(at / 1_000_000, datetime.UTC)
        return (self.since is None or self.since <= now) and (self.until is None or now < self.until)


class Hook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A webhook.

    Attributes:
        slug: its name, and the end of its URL.
        signature: how it knows its sender.
        secrets: what senders sign with.
        template: a template in Jinja that makes a JSON object with event, resource and payload.
        mapping: the same as an object whose texts hold `{names}` of facts; without code.
        schema: a JSON schema that bodies must follow.
        allow: networks from which requests may come, such as 192.30.252.0/22; all where empty.
        most_bytes: larger bodies are refused.
        per_second: so many requests are accepted in a second, over all servers; any number where left out.
        burst: so many at once.
        active: requests are accepted.
        description: for people.
    """

    slug: str
    signature: Signature
    secrets: tuple[HookSecret, ...] = ()
    template: str | None = None
    mapping: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None
    allow: tuple[str, ...] = ()
    most_bytes: int = 1_000_000
    per_second: float | None = None
    burst: int = 10
    active: bool = True
    description: str | None = None

    def mistakes(self) -> list[tuple[str, str]]:
        """Everything that is wrong with it."""
        found = list(self.signature.mistakes())
        if not _SLUG.fullmatch(self.slug):
            found.append(("slug", f"{self.slug[:120]!r} must be lower-case letters, digits, - and _, 100 at most"))
        found += self._of_secrets()
        if self.template is not None and self.mapping is not None:
            found.append(("template", "there is a mapping too; give one of them"))
        field = "template" if self.template is not None else "mapping"
        found += [(field, told) for told in template_of(self.template, self.mapping).mistakes]
        for number, network in enumerate(self.allow):
            if _network(network) is None:
                found.append((f"allow[{number}]", f"{network!r} is no address and no network such as 10.0.0.0/8"))
        if not 1 <= self.most_bytes <= MOST_BYTES:
            found.append(("most_bytes", f"must be between 1 and {MOST_BYTES:,}"))
        if self.per_second is not None and not 0 < self.per_second <= 100_000:
            found.append(("per_second", "must be above 0, and 100,000 at most"))
        if not 1 <= self.burst <= 100_000:
            found.append(("burst", "must be between 1 and 100,000"))
        if self.schema is not None and (told := _schema_mistake(self.schema)):
            found.append(("schema", told))
        return found

    def _of_secrets(self) -> list[tuple[str, str]]:
        found = []
        if self.signature.scheme == "none" and self.secrets:
            found.append(("secrets", "there are some, and the signature is none"))
        if self.signature.scheme != "none" and not self.secrets:
            found.append(("secrets", f"there is none, and {self.signature.scheme} needs one"))
        for number, each in enumerate(self.secrets):
            if not _NAME.fullmatch(each.connection):
                found.append((f"secrets[{number}]", f"{each.connection[:120]!r} cannot be the name of a connection"))
            if each.since is not None and each.until is not None and each.since >= each.until:
                found.append((f"secrets[{number}]", "it ends before it begins"))
        return found

    def checked(self) -> Hook:
        """The same webhook.

        Raises:
            BadWebhook: it cannot be; every mistake is told.
        """
        mistakes = self.mistakes()
        if mistakes:
            raise BadWebhook(self.slug, mistakes)
        return self

    @property
    def hidden(self) -> tuple[str, ...]:
        """Headers that hold a secret, and are not kept."""
        return (self.signature.header,) if self.signature.header and self.signature.scheme == "hmac" else ()


def hook_of(slug: str, data: Any) -> Hook:
    """A webhook of plain data.

    Raises:
        BadWebhook: it is none.
    """
    try:
        return msgspec.convert({**data, "slug": slug} if isinstance(data, dict) else data, Hook)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        raise BadWebhook(slug, [(where.strip("`").removeprefix("$.") or "it", what)]) from None


def spec_of(hook: Hook) -> dict[str, Any]:
    """A webhook as plain data."""
    made: dict[str, Any] = msgspec.to_builtins(hook)
    return made


def check_address(hook: Hook, request: Request) -> None:
    """Look whether a request may come from where it comes.

    Raises:
        Refused: it may not.
    """
    if not hook.allow:
        return
    try:
        address = ipaddress.ip_address(request.client or "")
    except ValueError:
        raise Refused("address", "It is not known where the request comes from.") from None
    plain = getattr(address, "ipv4_mapped", None) or address
    if not any(plain in network for each in hook.allow if (network := _network(each)) is not None):
        raise Refused("address", f"Requests from {plain} are not accepted.")


@lru_cache(maxsize=1024)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def check_schema(hook: Hook, value: Any) -> None:
    """Look whether what a request says follows the webhook's schema.

    Raises:
        Refused: it does not; the first place is told.
    """
    if hook.schema is None:
        return
    try:
        error = next(iter(_validator(msgspec.json.encode(hook.schema)).iter_errors(value)), None)
    except Exception as failure:  # a reference that leads nowhere, or around in a circle
        told = f"The schema cannot be used: {type(failure).__name__}."
        raise Refused("schema", told, failed=True) from None
    if error is not None:
        raise Refused("schema", f"The body does not follow the schema at {error.json_path}: {error.message[:300]}")


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    """A validator that fetches nothing from elsewhere."""
    jsonschema, referencing = require("jsonschema", "server"), require("referencing", "server")
    document = msgspec.json.decode(schema)
    family = jsonschema.validators.validator_for(document, default=jsonschema.Draft202012Validator)
    return family(document, registry=referencing.Registry())


def _schema_mistake(schema: dict[str, Any]) -> str | None:
    if not isinstance(schema.get("$schema", ""), str):
        return "is no JSON schema at $.$schema: it must be a text"
    try:
        made = _validator(msgspec.json.encode(schema))
        error = next(iter(type(made)(made.META_SCHEMA).iter_errors(schema)), None)
    except RecursionError:
        return "is nested too deeply"
    if error is not None:
        return f"is no JSON schema at {error.json_path}: {error.message[:200]}"
    outside = [ref for ref in _texts(schema, "$ref", "$dynamicRef") if not ref.startswith("#")]
    if outside:
        return f"refers to {outside[0]!r}, which is not in it"
    for pattern in _texts(schema, "pattern"):
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as wrong:
            return f"has the pattern {pattern[:80]!r}, which cannot be read: {wrong}"
    return None


def _texts(schema: Any, *names: str) -> Sequence[str]:
    """The texts under these names, wherever they are."""
    waiting, found = [schema], []
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            found += [each[name] for name in names if isinstance(each.get(name), str)]
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found
