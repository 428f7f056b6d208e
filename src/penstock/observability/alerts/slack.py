"""Slack: messages in a channel, and those about one run in one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from penstock.core.alerting import Channel
from penstock.core.extras import LateExtra
from penstock.core.model import Alert
from penstock.core.sending import Hopeless, Unanswered
from penstock.observability import messages
from penstock.observability.alerts.web import bearer, posted

_sdk: Any = LateExtra("slack_sdk", "server")
_AGAIN = frozenset(
    {
        *("ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"),
        *("team_added_to_org", "accesslimited", "message_limit_exceeded"),
    }
)
_LOST_THREADS = frozenset({"thread_not_found", "cannot_reply_to_message", "invalid_thread_ts"})


class Remembered(Protocol):
    """Where the first message of a thread is kept, whatever process sends the next one."""

    def get(self, thread: str) -> str | None:
        """What was kept of a thread."""

    def keep(self, thread: str, place: str) -> None:
        """Keep it."""


def send(connection: Any, channel: Channel, alert: Alert, remembered: Remembered) -> Mapping[str, Any]:
    """Post a message; see `deliver`."""
    body = messages.slack(alert, alert.link)
    if connection.webhook_url is not None:
        return {"status": posted(connection, connection.webhook_url.reveal(), body).status}
    if channel.channel is None:
        raise Hopeless("It is not said which channel of Slack: give `channel`, such as #data.")
    client = _client(connection)
    thread = remembered.get(alert.thread) if alert.thread is not None else None
    try:
        answer = _asked(client, channel.channel, body, thread)
    except _LostThread:
        thread, answer = None, _asked(client, channel.channel, body, None)
    place = str(answer.get("ts") or "")
    if alert.thread is not None and thread is None and place:
        remembered.keep(alert.thread, place)
    return {"ts": place, **({"thread": thread} if thread is not None else {})}


class _LostThread(Exception):
    """The message that was to be answered is gone."""


def _client(connection: Any) -> Any:
    """Slack's own client. What it sends goes our way: within its time, and to nobody that an answer leads to."""

    class Client(_sdk.WebClient):  # type: ignore[misc]
        def api_call(self, api_method: str, *, json: Any = None, **_: Any) -> Any:
            url = f"{connection.api_url.rstrip('/')}/{api_method}"
            return posted(connection, url, json, bearer(connection.token)).body

    return Client()


def _asked(client: Any, channel: str, body: dict[str, Any], thread: str | None) -> dict[str, Any]:
    raw = client.chat_postMessage(
        channel=channel, thread_ts=thread, unfurl_links=False, unfurl_media=False, link_names=False, **body
    )
    try:
        answer = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise Unanswered("What answered is not Slack.")
    if answer.get("ok"):
        return answer
    said = str(answer.get("error"))[:200]
    if thread is not None and said in _LOST_THREADS:
        raise _LostThread
    raise Unanswered(f"Slack says {said}.") if said in _AGAIN else Hopeless(f"Slack says {said}.")
