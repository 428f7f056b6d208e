"""Where alerts are told: Slack, Microsoft Teams, Discord, and any URL that takes webhooks."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping

from penstock.core.connections import Connection, ConnectionFailed, Seconds, Secret
from penstock.engine.connections.probing import ask, tls_context, url_mistakes


class _Web(Connection):
    """What they have in common."""

    verify: bool = True
    ca_file: str | None = None
    timeout_seconds: Seconds = 10.0

    def tls(self) -> ssl.SSLContext:
        """What TLS is done with.

        Raises:
            ConnectionFailed: a certificate cannot be read.
        """
        return tls_context(self.verify, self.ca_file)

    def _reached(self, url: Secret, seconds: float) -> int:
        """The status of the answer to a question that tells nobody anything."""
        status = ask(url.reveal(), min(seconds, self.timeout_seconds), tls=self.tls()).status
        if status >= 500:
            raise ConnectionFailed(f"it answered {status}", hint="it is there, but not well: try again later")
        return status


class SlackConnection(_Web):
    """Slack: as a bot with a token, or by an incoming webhook.

    Attributes:
        token: of a bot that may `chat:write`; it begins with xoxb-.
        webhook_url: an incoming webhook, instead of the token.
        api_url: where Slack's API is.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a message may take.
    """

    kind = "slack"

    token: Secret | None = None
    webhook_url: Secret | None = None
    api_url: str = "https://slack.com/api/"

    @classmethod
    def asks(cls, given: Mapping[str, object]) -> list[str]:
        """See `Connection.asks`: one of the two."""
        return [] if {"token", "webhook_url"} & given.keys() else ["token"]

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        yield from url_mistakes("api_url", self.api_url)
        if (self.token is None) == (self.webhook_url is None):
            yield "token", "give either token or webhook_url"
        yield from _secret_url("webhook_url", self.webhook_url)

    def check(self, seconds: float) -> str:
        """See `Connection.check`: the token counts; of a webhook nothing tells it without a message."""
        if self.webhook_url is not None:
            return f"answered {self._reached(self.webhook_url, seconds)}; only a message tells whether it takes any"
        headers = {"Authorization": f"Bearer {self.token.reveal() if self.token else ''}"}
        url = f"{self.api_url.rstrip('/')}/auth.test"
        answer = ask(url, min(seconds, self.timeout_seconds), headers=headers, form=b"", tls=self.tls())
        try:
            told = json.loads(answer.body)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise ConnectionFailed(f"it answered {answer.status}, and not as Slack does", hint="check api_url")
        if not told.get("ok"):
            raise ConnectionFailed(f"it says {told.get('error')}", hint="check the token")
        return f"the bot {told.get('user')} of {told.get('team')}"


class _Hook(_Web):
    """A URL that is the secret."""

    url: Secret

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        yield from _secret_url("url", self.url)

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        return f"answered {self._reached(self.url, seconds)}; only a message tells whether it takes any"


class TeamsConnection(_Hook):
    """A channel or a chat of Microsoft Teams, by the webhook of a workflow.

    Attributes:
        url: the URL that the workflow "When a Teams webhook request is received" shows.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a message may take.
    """

    kind = "teams"


class DiscordConnection(_Hook):
    """A channel of Discord, by its webhook.

    Attributes:
        url: the URL that the channel's settings show.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a message may take.
    """

    kind = "discord"

    def check(self, seconds: float) -> str:
        """See `Connection.check`: Discord tells of a webhook to whoever knows its URL."""
        status = self._reached(self.url, seconds)
        if status != 200:
            raise ConnectionFailed(f"it answered {status}", hint="check url; the webhook may have been deleted")
        return "there is such a webhook"


class WebhookConnection(_Hook):
    """A URL that takes alerts as JSON, signed where there is a secret.

    Attributes:
        url: where they are sent.
        secret: what they are signed with: whsec_ and base64, or any text.
        token: a bearer token, if it wants one.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a message may take.
    """

    kind = "webhook"

    secret: Secret | None = None
    token: Secret | None = None


class AlertmanagerConnection(_Web):
    """Prometheus' Alertmanager.

    Attributes:
        base_url: where it is, such as http://alertmanager:9093.
        token: a bearer token, if something before it wants one.
        verify: the server's certificate is checked.
        ca_file: a file with the authorities that may sign it, instead of the system's.
        timeout_seconds: how long a message may take.
    """

    kind = "alertmanager"

    base_url: str
    token: Secret | None = None

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """See `Connection.mistakes`."""
        yield from url_mistakes("base_url", self.base_url)

    def check(self, seconds: float) -> str:
        """See `Connection.check`."""
        headers = {"Authorization": f"Bearer {self.token.reveal()}"} if self.token is not None else {}
        url = f"{self.base_url.rstrip('/')}/api/v2/status"
        status = ask(url, min(seconds, self.timeout_seconds), headers=headers, tls=self.tls()).status
        if status != 200:
            raise ConnectionFailed(f"its /api/v2/status answered {status}", hint="check base_url and token")
        return "ready"


def _secret_url(name: str, url: Secret | None) -> Iterator[tuple[str, str]]:
    """What is wrong with a URL that must not be shown."""
    text = url.reveal() if url is not None else "https://none"
    for _, told in url_mistakes(name, text.partition("?")[0]):
        yield name, told
