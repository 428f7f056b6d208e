"""A webhook: where requests come in, whose they may be, and what is made of them."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

import msgspec

from penstock.control.webhooks.requests import Refused, Request
from penstock.control.webhooks.schemas import schema_mistake
from penstock.control.webhooks.signatures import Signature
from penstock.control.webhooks.templates import template_of
from penstock.core import typed
from penstock.core.access import SIGNING_KEYS
from penstock.core.errors import BadWebhook
from penstock.core.networks import address_of, is_within, network_of

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,99}")
MOST_BYTES = 25_000_000
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
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
        per_second_each: so many from one address, at each server; any number where left out. Nothing of a request is
            looked at, and nothing recorded, where there are more.
        methods: of requests.
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
    per_second_each: float | None = None
    methods: tuple[Method, ...] = ("POST",)
    active: bool = True
    description: str | None = None

    def mistakes(self) -> list[tuple[str, str]]:
        """Everything that is wrong with it."""
        found = list(self.signature.mistakes())
        if not SLUG.fullmatch(self.slug):
            found.append(("slug", f"{self.slug[:120]!r} must be lower-case letters, digits, - and _, 100 at most"))
        found += self._of_secrets()
        if self.template is not None and self.mapping is not None:
            found.append(("template", "there is a mapping too; give one of them"))
        field = "template" if self.template is not None else "mapping"
        found += [(field, told) for told in template_of(self.template, self.mapping).mistakes]
        for number, network in enumerate(self.allow):
            if network_of(network) is None:
                found.append((f"allow[{number}]", f"{network!r} is no address and no network such as 10.0.0.0/8"))
        if not 1 <= self.most_bytes <= MOST_BYTES:
            found.append(("most_bytes", f"must be between 1 and {MOST_BYTES:,}"))
        for field, rate in (("per_second", self.per_second), ("per_second_each", self.per_second_each)):
            if rate is not None and not 0 < rate <= 100_000:
                found.append((field, "must be above 0, and 100,000 at most"))
        if not 1 <= self.burst <= 100_000:
            found.append(("burst", "must be between 1 and 100,000"))
        if not self.methods:
            found.append(("methods", "there is none: POST is what senders use"))
        if self.schema is not None and (told := schema_mistake(self.schema)):
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
            if each.connection == SIGNING_KEYS:
                found.append((f"secrets[{number}]", f"{SIGNING_KEYS} is Penstock's own; name another connection"))
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
        return typed.convert({**data, "slug": slug} if isinstance(data, dict) else data, Hook)
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
    address = address_of(request.client or "")
    if address is None:
        raise Refused("address", "It is not known where the request comes from.")
    if not is_within(address, hook.allow):
        raise Refused("address", f"Requests from {address} are not accepted.")
