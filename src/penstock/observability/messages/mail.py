"""Alerts as email: text and HTML, with headers that nothing in an alert can add to."""

from __future__ import annotations

import datetime
import hashlib
import html
import re
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from penstock.core.errors import ConfigurationError
from penstock.core.model import Alert
from penstock.observability.messages.parts import log, message, rows, safe_link, title, when, word

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\\x00-\x1f\x7f]+@[A-Za-z0-9.-]+")
_COLOURS = {"info": "#2f80ed", "warning": "#b7791f", "error": "#c53030", "resolved": "#1e7e45"}


def email(alert: Alert, sender: str, to: Sequence[str], link: str | None = None) -> EmailMessage:
    """A message that is ready to be sent. The same alert has the same Message-ID, so that a second one can be told.

    Args:
        alert: what is told.
        sender: the address it is from.
        to: the addresses it is for.
        link: a page about it.

    Raises:
        ConfigurationError: an address is none.
    """
    for address in (sender, *to):
        if not _ADDRESS.fullmatch(address):
            raise ConfigurationError(f"{address!r} is no email address.", hint="write one such as data@example.com")
    if not to:
        raise ConfigurationError("The email is for nobody.", hint="name an address")
    made = EmailMessage(policy=SMTP)
    made["Subject"] = f"[{word(alert)}] {title(alert, 150)}"
    made["From"] = sender
    made["To"] = ", ".join(to)
    made["Date"] = format_datetime(datetime.datetime.fromtimestamp(alert.at / 1_000_000, datetime.UTC))
    made["Message-ID"] = _message_id(alert.key, sender)
    if alert.thread is not None:  # what is about one run stands together, below a message that there never was
        made["In-Reply-To"] = made["References"] = _message_id(alert.thread, sender)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(_text(alert, safe_link(link)))
    made.add_alternative(_html(alert, safe_link(link)), subtype="html")
    return made


def _message_id(text: str, sender: str) -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"<{digest}@{sender.rpartition('@')[2]}>"


def _text(alert: Alert, link: str | None) -> str:
    facts = [f"{name}: {value}" for name, value in (*rows(alert), ("at", when(alert)))]
    lines = log(alert, 10_000)
    parts = [title(alert, 150), "", message(alert, 20_000), "", *facts, *(["", lines] if lines else [])]
    return "\n".join([*parts, *(["", link] if link else []), ""])


def _html(alert: Alert, link: str | None) -> str:
    def cell(text: str) -> str:
        return html.escape(text, quote=True)

    facts = "".join(
        f'<tr><td style="color:#666;padding-right:1em">{cell(name)}</td><td>{cell(value)}</td></tr>\n'
        for name, value in (*rows(alert), ("at", when(alert)))
    )
    button = f'<p><a href="{cell(link)}">Open</a></p>\n' if link else ""
    lines = log(alert, 10_000)
    logged = f'<pre style="background:#f4f4f4;padding:.5em">{cell(lines)}</pre>\n' if lines else ""
    colour = _COLOURS.get(word(alert), _COLOURS["info"])
    return (
        f'<!doctype html>\n<html><body style="font-family:sans-serif">\n<h2 style="color:{colour}">'
        f"{cell(title(alert, 150))}</h2>\n"
        f'<p style="white-space:pre-wrap">{cell(message(alert, 20_000))}</p>\n'
        f"<table>\n{facts}</table>\n{logged}{button}"
        "</body></html>\n"
    )
