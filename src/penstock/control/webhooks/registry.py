"""The webhooks of a journal: declared, found, deleted."""

from __future__ import annotations

from collections.abc import Callable

from penstock.control.webhooks.hooks import Hook, hook_of, spec_of
from penstock.core.errors import BadWebhook, SequenceConflict, WebhookConflict, WebhookNotFound
from penstock.core.events import Event, Record, now_us
from penstock.core.plans import stream_of
from penstock.core.ports import Journal
from penstock.core.webhooks import KIND, WebhookDeclared, WebhookDeleted


def declare(journal: Journal, hook: Hook, *, overwrite: bool = False) -> bool:
    """Put a webhook on record; whether there was one of this name before.

    Raises:
        BadWebhook: it cannot be, or there is one and it is not to be overwritten.
    """
    hook.checked()
    while True:
        seq, before = journal.last_seq(stream_of(KIND, hook.slug)), journal.webhooks(hook.slug)
        if before and not overwrite:
            raise BadWebhook(hook.slug, [("slug", "there is a webhook of this name already (--overwrite replaces it)")])
        if _appended(journal, hook.slug, seq, WebhookDeclared(at=now_us(), name=hook.slug, spec=spec_of(hook))):
            return bool(before)


def create(journal: Journal, hook: Hook, *, again: bool = False) -> None:
    """Make a webhook.

    Args:
        journal: where.
        hook: the webhook.
        again: it may have been made already, if it is just like this.

    Raises:
        BadWebhook: it cannot be.
        WebhookConflict: there is one of this name.
    """
    hook.checked()
    while True:
        seq, before = journal.last_seq(stream_of(KIND, hook.slug)), journal.webhooks(hook.slug)
        if before and again and hook_of(hook.slug, before[0].spec) == hook:
            return
        if before:
            raise WebhookConflict(
                f"There is a webhook {hook.slug!r} already.", hint="give another name, or change that one"
            )
        if _appended(journal, hook.slug, seq, WebhookDeclared(at=now_us(), name=hook.slug, spec=spec_of(hook))):
            return


def find_hook(journal: Journal, slug: str) -> Hook:
    """A webhook by name.

    Raises:
        WebhookNotFound: there is none.
    """
    found = journal.webhooks(slug)
    if not found:
        raise WebhookNotFound(f"There is no webhook {slug!r}.")
    return hook_of(found[0].name, found[0].spec)


def every_hook(journal: Journal) -> list[Hook]:
    """Every webhook by name."""
    return [hook_of(each.name, each.spec) for each in journal.webhooks()]


def change(journal: Journal, slug: str, edit: Callable[[Hook], Hook]) -> Hook:
    """Make another one of a webhook.

    Args:
        journal: where it is.
        slug: its name.
        edit: gives what it is to be; it raises where it is not to be changed.

    Raises:
        WebhookNotFound: there is none.
        BadWebhook: it cannot be like that.
    """
    while True:
        seq, before = journal.last_seq(stream_of(KIND, slug)), find_hook(journal, slug)
        after = edit(before).checked()
        if after == before:
            return before
        if _appended(journal, slug, seq, WebhookDeclared(at=now_us(), name=slug, spec=spec_of(after))):
            return after


def delete(journal: Journal, slug: str, meant: Callable[[Hook], None] = lambda before: None) -> None:
    """Remove a webhook; its deliveries stay until they are old.

    Args:
        journal: where it is.
        slug: its name.
        meant: is called with it, and raises where it is not to be removed.

    Raises:
        WebhookNotFound: there is none.
    """
    while True:
        seq = journal.last_seq(stream_of(KIND, slug))
        meant(find_hook(journal, slug))
        if _appended(journal, slug, seq, WebhookDeleted(at=now_us(), name=slug)):
            return


def _appended(journal: Journal, slug: str, seq: int, event: Event) -> bool:
    try:
        journal.append(stream_of(KIND, slug), seq, [Record(event)])
    except SequenceConflict:
        return False
    return True
