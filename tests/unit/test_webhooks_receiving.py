"""Requests come in: what is accepted, stored and acknowledged, in which order, and once."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import ROOT
from tests.unit.webhook_senders import DATA, NOW, numbered, signed

from penstock.control.webhooks import (
    BadWebhook,
    DeliveryNotFound,
    Hook,
    HookSecret,
    JournalDeliveries,
    NotRedelivered,
    Outcome,
    Receiver,
    Request,
    Signature,
    WebhookNotFound,
    declare,
    delete,
    every_hook,
    find_delivery,
    find_hook,
    hook_of,
    receive,
    rehearse,
    spec_of,
)
from penstock.control.webhooks.receiving import STATUS_CODES
from penstock.core.errors import ConnectionNotFound
from penstock.core.plans import Happened
from penstock.core.ports import Journal
from penstock.journal import MemoryJournal, SqliteJournal

SECRET = "the right one"
TEMPLATE = """{
  "event": "git.{{ headers["x-github-event"] }}",
  "resource": "{{ body.repository.full_name if body.repository is defined else hook }}",
  "payload": {"who": "{{ body.sender.login if body.sender is defined else "" }}"}
}"""
HOOK = Hook(slug="git", signature=Signature("github"), secrets=(HookSecret("s"),), template=TEMPLATE)
LARGE = '{"event": "x", "payload": {"a": "{% for i in range(9000) %}123456789{% endfor %}"}}'
"""It makes more than an event may hold."""
OPEN = Hook(slug="open", signature=Signature("none"))


@pytest.fixture
def journal() -> Iterator[Journal]:
    made = MemoryJournal()
    yield made
    made.close()


def github(body: bytes, delivery: str = "d1", event: str = "push", **more: Any) -> Request:
    headers = {**signed("github", SECRET, body), "X-GitHub-Delivery": delivery, "X-GitHub-Event": event}
    headers |= {"Content-Type": "application/json"}
    return Request(headers=tuple(headers.items()), body=body, **more)


def into(journal: Journal, request: Request, hook: Hook = HOOK) -> Outcome:
    return receive(hook, request, [SECRET], JournalDeliveries(journal))


def events_of(journal: Journal) -> list[Happened]:
    return [record.event for record in journal.read(0, 10_000) if isinstance(record.event, Happened)]


PAYLOADS = sorted(DATA.glob("github_payloads/*/*.json"))


def test_every_payload_of_github(journal: Journal, test_data: Path) -> None:
    assert len(PAYLOADS) > 100
    made = []
    for number, file in enumerate(PAYLOADS):
        body, kind = file.read_bytes(), file.parent.name
        outcome = into(journal, github(body, f"d{number}", kind))
        assert (outcome.status, outcome.status_code) == ("accepted", 202), f"{file}: {outcome.message}"
        parsed = json.loads(body)
        about = parsed.get("repository", {}).get("full_name", "git")
        made.append((f"git.{kind}", about, parsed.get("sender", {}).get("login", "")))
    assert [(event.name, event.about, event.facts["who"]) for event in events_of(journal)] == made
    assert len(journal.deliveries(limit=1000)) == len(PAYLOADS)
    assert journal.deliveries()[0].delivery == f"d{len(PAYLOADS) - 1}"


def test_a_delivery_is_kept_whole_without_what_lets_in(journal: Journal) -> None:
    hook = msgspec.structs.replace(OPEN, signature=Signature("bearer"), secrets=(HookSecret("s"),))
    headers = (("Authorization", f"Bearer {SECRET}"), ("Cookie", "a=b"), ("X-More", "\udcff"), ("x-more", "2"))
    sent = Request(headers=headers, query=(("a", "1"),), body=b"h\xc3\xa9", client="10.0.0.1")
    outcome = into(journal, sent, hook)
    kept = find_delivery(journal, outcome.id or "")
    assert kept.request.headers == (
        ("Authorization", "***"), ("Cookie", "***"), ("X-More", "\\udcff"), ("x-more", "2")
    )  # fmt: skip
    assert (kept.request.body, kept.request.query, kept.request.client) == (sent.body, sent.query, "10.0.0.1")
    assert (kept.row.status, kept.row.verified, kept.row.size) == ("accepted", True, 3)
    assert kept.events == outcome.events
    assert all(SECRET.encode() not in (record.data or b"") for record in journal.read(0))


def test_duplicates_make_one_event(journal: Journal) -> None:
    first, second = (into(journal, github(b'{"a": 1}')) for _ in range(2))
    other = into(journal, github(b'{"a": 1}', "d2"))
    assert [first.status, second.status, other.status] == ["accepted", "duplicate", "accepted"]
    assert (second.status_code, second.id, second.events) == (200, None, ())
    assert len(events_of(journal)) == len(journal.deliveries()) == 2


def test_a_forged_request_does_not_take_the_place_of_the_genuine_one(journal: Journal) -> None:
    genuine = github(b'{"a": 1}')
    forged = msgspec.structs.replace(genuine, body=b'{"a": 2}')
    assert into(journal, forged).reason == "signature"
    assert into(journal, genuine).status == "accepted"
    accepted, refused = journal.deliveries()
    assert (refused.status, refused.verified, refused.delivery) == ("refused", False, None)
    assert find_delivery(journal, refused.id).request.body == b"", "what nobody vouches for is not kept"
    assert accepted.delivery == "d1"


def test_of_several_at_once_one_is_accepted(tmp_path: Path) -> None:
    journal, found, gate = SqliteJournal(tmp_path / "journal.db"), [], threading.Barrier(4)

    def send() -> None:
        gate.wait()
        found.append(into(journal, github(b"{}")).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["accepted", *["duplicate"] * 3]
    assert len(events_of(journal)) == 1
    journal.close()


@pytest.mark.parametrize(
    ("change", "request_change", "reason"),
    [
        ({"active": False}, {}, "off"),
        ({"most_bytes": 3}, {}, "too-large"),
        ({"allow": ("10.0.0.0/8",)}, {"client": "11.0.0.1"}, "address"),
        ({"allow": ("10.0.0.0/8",)}, {"client": None}, "address"),
        ({"allow": ("2001:db8::/32",)}, {"client": "2001:db9::1"}, "address"),
        ({}, {"headers": ()}, "signature"),
        ({"schema": {"required": ["b"]}}, {}, "schema"),
        ({"schema": {"$ref": "#/nowhere"}}, {}, "schema"),
        ({"template": "{{ body.b }}"}, {}, "template"),
        ({"template": LARGE}, {}, "event"),
    ],
    ids=range(10),
)  # fmt: skip
def test_refusals(journal: Journal, change: dict[str, Any], request_change: dict[str, Any], reason: str) -> None:
    hook = msgspec.structs.replace(HOOK, **change)
    sent = msgspec.structs.replace(github(b'{"a": 1}'), **request_change)
    outcome = into(journal, sent, hook)
    assert (outcome.reason, outcome.status_code) == (reason, STATUS_CODES[reason])
    assert outcome.message
    assert events_of(journal) == []
    rows = journal.deliveries()
    assert [row.reason for row in rows] == ([] if reason == "off" else [reason])
    assert into(journal, github(b'{"a": 1}')).status == "accepted", "nothing of it counts as delivered"


def test_where_requests_may_come_from(journal: Journal) -> None:
    hook = msgspec.structs.replace(OPEN, allow=("10.0.0.0/8", "2001:db8::1"))
    for client in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"):
        assert into(journal, Request(client=client), hook).status == "accepted"


def test_the_rate_and_that_forged_requests_do_not_use_it_up(journal: Journal) -> None:
    hook = msgspec.structs.replace(HOOK, per_second=1.0, burst=2)
    at = NOW * 1_000_000
    for _ in range(5):
        assert into(journal, Request(at=at), hook).reason == "signature"
    sent = [into(journal, github(b"{}", f"d{n}", at=at), hook) for n in range(3)]
    assert [each.reason for each in sent] == [None, None, "rate"]
    assert into(journal, github(b"{}", "d2", at=at + 1_000_000), hook).status == "accepted"


def test_the_id_that_a_sender_gave_goes_before_the_end_of_an_id(journal: Journal) -> None:
    first, second = (into(journal, github(b"{}", name)) for name in ("first", "second"))  # no id of ours ends so
    ours = (second.id or "")[-2:]
    given = into(journal, github(b"{}", ours))
    assert find_delivery(journal, ours).row.id == given.id
    assert find_delivery(journal, (first.id or "")[-10:]).row.id == first.id
    with pytest.raises(DeliveryNotFound, match="There is no delivery 'zz'"):
        find_delivery(journal, "zz")


def test_a_flood_of_refused_requests_does_not_fill_the_journal(journal: Journal) -> None:
    anybody = msgspec.structs.replace(OPEN, template='{"event": "{{ body.nope }}"}')
    for hook, reason in ((HOOK, "signature"), (anybody, "template")):
        outcomes = [into(journal, Request(at=NOW * 1_000_000), hook) for _ in range(150)]
        assert {outcome.reason for outcome in outcomes} == {reason}
        assert len(journal.deliveries(hook.slug, limit=1000)) == 100
    failed = [into(journal, github(b"5", f"d{n}", at=NOW * 1_000_000)) for n in range(150)]
    assert all(outcome.id for outcome in failed), "of those who may send, all are kept"


def test_a_space_does_not_make_two_cloudevents_one(journal: Journal) -> None:
    for source, id in (("/a b", "c"), ("/a", "b c")):
        event = {"specversion": "1.0", "type": "t", "source": source, "id": id}
        headers = (("Content-Type", "application/cloudevents+json"),)
        assert into(journal, Request(headers=headers, body=json.dumps(event).encode()), OPEN).status == "accepted"


def test_cloudevents_in_a_batch_are_one_delivery(journal: Journal) -> None:
    batch = [{"specversion": "1.0", "id": f"e{n}", "source": "/s", "type": "t", "data": {"n": n}} for n in range(3)]
    hook = msgspec.structs.replace(OPEN, mapping={"event": "s.{cloudevent.type}", "payload": {"n": "{body.n}"}})
    headers = (("Content-Type", "application/cloudevents-batch+json"),)
    outcome = into(journal, Request(headers=headers, body=json.dumps(batch).encode()), hook)
    assert [(event.name, event.facts) for event in events_of(journal)] == [("s.t", {"n": n}) for n in range(3)]
    assert len(outcome.events) == 3
    one = Request(headers=(("Content-Type", "application/cloudevents+json"),), body=json.dumps(batch[0]).encode())
    assert [into(journal, one, hook).status for _ in range(2)] == ["accepted", "duplicate"]


def test_slack_asks_whether_we_are_there_and_names_its_events(journal: Journal) -> None:
    hook = msgspec.structs.replace(OPEN, signature=Signature("slack"), secrets=(HookSecret("s"),))

    def send(body: dict[str, Any], at: int = NOW) -> Outcome:
        data = json.dumps(body).encode()
        headers = {**signed("slack", SECRET, data, at), "Content-Type": "application/json"}
        return into(journal, Request(headers=tuple(headers.items()), body=data, at=NOW * 1_000_000), hook)

    told = send({"type": "url_verification", "challenge": "abc"})
    assert (told.answer, told.status_code, journal.deliveries()) == ("abc", 200, [])
    assert [send({"event_id": "E1"}, NOW + n).status for n in range(2)] == ["accepted", "duplicate"]
    assert [send({"x": 1}, NOW + n).status for n in (0, 0, 1)] == ["accepted", "duplicate", "accepted"]


def test_a_delivery_that_failed_is_redelivered_once(journal: Journal) -> None:
    declare(journal, HOOK)
    receiver = Receiver(journal, lambda name: SECRET)
    broken = msgspec.structs.replace(HOOK, template='{"event": "{{ body.nope }}"}')
    declare(journal, broken, overwrite=True)
    failed = receiver.receive("git", github(b'{"a": 1}', "d7"))
    assert (failed.status, failed.reason) == ("failed", "template")
    assert receiver.redeliver(failed.id or "").status == "failed"
    declare(journal, HOOK, overwrite=True)
    outcomes = [receiver.redeliver((failed.id or "")[-12:]) for _ in range(2)]
    assert [each.status for each in outcomes] == ["accepted", "duplicate"]
    assert receiver.receive("git", github(b'{"a": 1}', "d7")).status == "duplicate", "its sender tries again, too late"
    (event,) = events_of(journal)
    assert event.name == "git.push"
    assert [row.again for row in journal.deliveries(status="accepted")] == [failed.id]


def test_one_that_was_accepted_is_redelivered_as_often_as_asked(journal: Journal) -> None:
    declare(journal, HOOK)
    receiver = Receiver(journal, lambda name: SECRET)
    first = receiver.receive("git", github(b'{"a": 1}'))
    assert [receiver.redeliver(first.id or "").status for _ in range(2)] == ["accepted", "accepted"]
    assert len(events_of(journal)) == 3
    with pytest.raises(DeliveryNotFound, match="More than one"):
        receiver.redeliver("d1")
    for name in ("", "nothing"):
        with pytest.raises(DeliveryNotFound):
            receiver.redeliver(name)


def test_what_nobody_vouched_for_is_not_redelivered(journal: Journal) -> None:
    declare(journal, HOOK)
    receiver = Receiver(journal, lambda name: SECRET)
    refused = receiver.receive("git", Request(body=b"{}"))
    with pytest.raises(NotRedelivered, match="before it was known who sent it"):
        receiver.redeliver(refused.id or "")


def test_unknown_webhooks_and_secrets_that_are_not_there(journal: Journal) -> None:
    def nothing(name: str) -> str:
        raise ConnectionNotFound(name)

    receiver = Receiver(journal, nothing)
    assert receiver.receive("git", github(b"{}")).status_code == 404
    declare(journal, HOOK)
    outcome = receiver.receive("git", github(b"{}"))
    assert (outcome.status_code, outcome.reason) == (503, "secrets")


def test_rotation(journal: Journal) -> None:
    day = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    secrets = (HookSecret("old", until=day), HookSecret("new", since=day - datetime.timedelta(hours=1)))
    declare(journal, msgspec.structs.replace(HOOK, secrets=secrets))
    receiver = Receiver(journal, {"old": SECRET, "new": "another"}.__getitem__)
    at = NOW * 1_000_000
    assert receiver.receive("git", github(b"{}", "d1", at=at - 1)).status == "accepted"
    assert receiver.receive("git", github(b"{}", "d2", at=at)).reason == "signature"


def test_a_rehearsal_stores_nothing(journal: Journal) -> None:
    good = rehearse(HOOK, github(b'{"a": 1}'), [SECRET])
    assert (good.refused, good.failed, [event.name for event in good.events]) == (None, None, ["git.push"])
    bad = rehearse(HOOK, msgspec.structs.replace(github(b'{"a": 1}'), body=b'{"b": 1}'), [SECRET])
    assert bad.refused is not None
    assert bad.refused[0] == "signature"
    assert [event.name for event in bad.events] == ["git.push"]
    assert rehearse(HOOK, github(b"nonsense"), None).failed is not None
    assert journal.head() == 0


def test_the_life_of_a_webhook(journal: Journal) -> None:
    whole = Hook(
        slug="all", signature=Signature("hmac", 60.0, "X-S", "sha512", "base64", "v=", "X-T", "X-D"),
        secrets=(HookSecret("a", datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)),), mapping={"event": "a.b"},
        schema={"type": "object"}, allow=("10.0.0.0/8",), most_bytes=5, per_second=2.5, burst=3, active=False,
        description="d",
    )  # fmt: skip
    assert declare(journal, whole) is False
    assert declare(journal, HOOK) is False
    assert every_hook(journal) == [whole, HOOK]
    assert hook_of("all", json.loads(json.dumps(spec_of(whole)))) == whole
    with pytest.raises(BadWebhook, match="already"):
        declare(journal, HOOK)
    assert declare(journal, msgspec.structs.replace(HOOK, burst=7), overwrite=True) is True
    assert find_hook(journal, "git").burst == 7
    delete(journal, "git")
    for gone in (find_hook, delete):
        with pytest.raises(WebhookNotFound):
            gone(journal, "git")


def test_every_mistake_at_once() -> None:
    wrong = Hook(
        slug="No/Slug", signature=Signature("github"), template="{{ os }}", mapping={}, allow=("here",), most_bytes=0,
        per_second=0.0, burst=0, schema={"type": "nothing"},
    )  # fmt: skip
    with pytest.raises(BadWebhook) as found:
        wrong.checked()
    places = [where for where, _ in found.value.mistakes]
    assert places == [
        "slug",
        "secrets",
        "template",
        "template",
        "allow[0]",
        "most_bytes",
        "per_second",
        "burst",
        "schema",
    ]
    outside = msgspec.structs.replace(OPEN, schema={"$ref": "https://example.com/schema"})
    assert "nothing is fetched" in dict(outside.mistakes())["schema"]
    pattern = msgspec.structs.replace(OPEN, schema={"prefixItems": [{"pattern": "("}]})
    assert "patterns have no look-around" in dict(pattern.mistakes())["schema"]
    odd = msgspec.structs.replace(OPEN, schema={"$schema": ["draft"]})
    assert 'not of type "string"' in dict(odd.mistakes())["schema"]
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"not": deep}
    assert "nested too deeply" in dict(msgspec.structs.replace(OPEN, schema=deep).mistakes())["schema"]
    for data in (
        {},
        {"signature": {"scheme": "none"}, "colour": 1},
        {"signature": {"scheme": "none"}, "burst": "x"},
        5,
    ):
        with pytest.raises(BadWebhook):
            hook_of("x", data)


NAMES = st.sampled_from(["Content-Type", "X-GitHub-Event", "ce-specversion", "a"])
ANYTHING = st.builds(
    Request,
    method=st.text(max_size=10),
    path=st.text(max_size=10),
    headers=st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=4).map(tuple),
    query=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3).map(tuple),
    body=st.binary(max_size=100),
    client=st.none() | st.text(max_size=10),
    at=st.integers(0, 4 * 10**15),
)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ANYTHING)
def test_whatever_comes_is_accepted_or_refused_and_on_record(journal: Journal, sent: Request) -> None:
    before = journal.head()
    outcome = into(journal, sent, OPEN)
    assert outcome.status in ("accepted", "refused", "failed", "duplicate")
    if outcome.id is not None:
        assert find_delivery(journal, outcome.id).row.status == outcome.status
    assert (journal.head() > before) == (outcome.id is not None)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_storing_and_acknowledging(tmp_path: Path, when: str) -> None:
    """Whatever the sender does not hear of it sends again: nothing is lost, and nothing is there twice."""
    file = tmp_path / "journal.db"

    def run(first: int, count: int, die: int, when: str) -> list[str]:
        command = [sys.executable, "-m", "tests.unit.webhook_killed", str(file), *map(str, (first, count, die)), when]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()

    heard = run(0, 20, 7, when)
    assert heard == [f"{number} accepted" for number in range(7)]
    journal = SqliteJournal(file)
    assert len(events_of(journal)) == (7 if when == "before" else 8)
    journal.close()
    again = run(0, 20, -1, "")
    known = 7 if when == "before" else 8
    assert again == [f"{n} {'duplicate' if n < known else 'accepted'}" for n in range(20)]
    journal = SqliteJournal(file)
    assert [event.about for event in events_of(journal)] == [str(number) for number in range(20)]
    assert len(journal.deliveries(limit=100)) == 20
    journal.close()


def test_on_postgresql(postgres_url: str) -> None:
    from penstock.journal.postgres import PostgresJournal

    make: Callable[[str], Journal] = PostgresJournal
    journal = make(postgres_url)
    hook = msgspec.structs.replace(OPEN, signature=Signature("standard"), per_second=100.0, secrets=(HookSecret("s"),))
    request, secret = numbered(1, NOW)
    statuses = [receive(hook, request, [secret], JournalDeliveries(journal)).status for _ in range(2)]
    assert statuses == ["accepted", "duplicate"]
    nul = Request(headers=(("a", "\0"),), body=b'{"a": "\\u0000"}', client="\0")
    assert receive(OPEN, nul, [], JournalDeliveries(journal)).status == "accepted"
    assert find_delivery(journal, journal.deliveries("open")[0].id).request.body == nul.body
    journal.close()
