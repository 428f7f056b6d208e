"""Webhooks: requests of others come in, are verified, and become events."""

from penstock.control.webhooks.deliveries import Deliveries, JournalDeliveries, find_delivery
from penstock.control.webhooks.hooks import Hook, HookSecret, hook_of, spec_of
from penstock.control.webhooks.receiving import Outcome, Receiver, Rehearsal, receive, rehearse, secret_of
from penstock.control.webhooks.registry import change, create, declare, delete, every_hook, find_hook
from penstock.control.webhooks.requests import Request
from penstock.control.webhooks.signatures import SCHEMES, Signature
from penstock.core.errors import BadWebhook, DeliveryNotFound, NotRedelivered, WebhookConflict, WebhookNotFound

__all__ = [
    "SCHEMES", "BadWebhook", "Deliveries", "DeliveryNotFound", "Hook", "HookSecret", "JournalDeliveries",
    "NotRedelivered", "Outcome", "Receiver", "Rehearsal", "Request", "Signature", "WebhookConflict", "WebhookNotFound",
    "change", "create", "declare", "delete", "every_hook", "find_delivery", "find_hook", "hook_of", "receive",
    "rehearse", "secret_of", "spec_of",
]  # fmt: skip
