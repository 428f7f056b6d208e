"""Email over SMTP."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from typing import Any

from penstock.core.alerting import Channel
from penstock.core.automations import several
from penstock.core.errors import ConfigurationError
from penstock.core.model import Alert
from penstock.core.sending import Hopeless, Unanswered
from penstock.engine.connections.smtp import answer_text
from penstock.observability import messages
from penstock.observability.alerts.web import unreached


def send(connection: Any, channel: Channel, alert: Alert, _: object) -> Mapping[str, Any]:
    """Send one message to all who get it; see `deliver`."""
    to = several(channel.to)
    try:
        message = messages.email(alert, connection.sender, to, alert.link)
    except ConfigurationError as error:
        raise Hopeless(error.message) from None
    try:
        with connection.opened() as server:
            refused = server.send_message(message, connection.sender, list(to))
    except smtplib.SMTPRecipientsRefused as error:
        raise _all_refused(connection, error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Hopeless(f"{connection.host} cannot do what is needed: {error}.") from None
    except smtplib.SMTPResponseException as error:
        told = connection.redact(f"{connection.host} answered {error.smtp_code} {answer_text(error.smtp_error)}")
        raise Hopeless(told) if error.smtp_code >= 500 else Unanswered(told) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise Unanswered(f"{connection.host} could not be reached ({unreached(connection, error)}).") from None
    told = {"message_id": str(message["Message-ID"])}
    return {**told, "refused": sorted(refused)} if refused else told


def _all_refused(connection: Any, error: smtplib.SMTPRecipientsRefused) -> Exception:
    code, text = next(iter(error.recipients.values()))
    told = connection.redact(f"{connection.host} takes none of the recipients: {code} {answer_text(text)}")
    return Hopeless(told) if all(code >= 500 for code, _ in error.recipients.values()) else Unanswered(told)
