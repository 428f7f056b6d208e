"""`penstock cache`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from penstock.cli.asking import YES, ask
from penstock.cli.console import Column, clean, counted, text, write, write_json, write_table
from penstock.cli.help import JSON, Command, Group, examples
from penstock.cli.session import executing, reading, short
from penstock.cli.times import instant
from penstock.cli.units import age, ahead, iso, size
from penstock.core.errors import ConfigurationError, PenstockError
from penstock.core.events import now_us
from penstock.core.model import Cached, CacheFilter
from penstock.core.ports import Journal

app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
_DIM = "bright_black"
_SHOWN = 16
_MOST_ROWS = 10_000


def complete_task(incomplete: str) -> list[str]:
    """Tasks with cached results, for the shell's completion."""
    with suppress(PenstockError, OSError), reading() as penstock:
        names = {each.task for each in penstock.journal.cache_entries(CacheFilter(), limit=1_000)}
        return sorted(name for name in names if name.startswith(incomplete) and name == clean(name))
    return []


TASK = typer.Option(metavar="NAME", help="Results of this task.", autocompletion=complete_task)
OLDER = typer.Option(metavar="TIME", help="Results made before then: 7d (ago), 2h, 2026-01-31, yesterday.")
EXPIRED = typer.Option("--expired", help="Results that nothing uses any more, because their time is over.")


@app.callback()
def _cache() -> None:
    """List and invalidate what runs keep for other runs: results of tasks with a cache_policy, and of transactions.

    What is invalidated is made anew by the next run that needs it. Runs that have used it stay as they are.
    """


@app.command(
    "list",
    cls=Command,
    epilog=examples(
        "penstock cache list",
        "penstock cache list --task fetch --older-than 7d",
        "penstock cache list --json | jq -r '.entries[].key'  # for scripts",
    ),
)
def list_entries(
    task: Annotated[str | None, TASK] = None,
    older_than: Annotated[str | None, OLDER] = None,
    expired: Annotated[bool, EXPIRED] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=_MOST_ROWS, help="At most so many.")] = 50,
    after: Annotated[str | None, typer.Option(metavar="KEY", help="Only those whose key sorts after this.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """List cached results, by key."""
    now = now_us()
    which = _filter(now, task, older_than, expired)
    with reading() as penstock:
        found = penstock.journal.cache_entries(which, after or "", limit + 1)
    more, found = len(found) > limit, found[:limit]
    if json:
        write_json({"entries": [_record(each, now) for each in found], "next": found[-1].key if more else None})
    elif not found:
        write("No such results." if task or older_than or expired or after else "Nothing is cached.")
    else:
        _write(found, now)
        if more:
            write(text((f"\nmore: penstock cache list --after {clean(found[-1].key)!r}", _DIM)))


def _filter(now: int, task: str | None, older_than: str | None, expired: bool) -> CacheFilter:
    return CacheFilter(
        task=task,
        made_before=instant("--older-than", older_than, now) if older_than is not None else None,
        expired_by=now if expired else None,
    )


def _record(entry: Cached, now: int) -> dict[str, Any]:
    return {
        "key": entry.key,
        "task": entry.task,
        "run_id": entry.run_id,
        "step": entry.step,
        "created_at": iso(entry.created_at),
        "expires_at": iso(entry.expires_at),
        "expired": _is_expired(entry, now),
        "size": entry.saved.size,
        "serializer": entry.saved.serializer,
    }


def _is_expired(entry: Cached, now: int) -> bool:
    return entry.expires_at is not None and entry.expires_at <= now


def _write(found: list[Cached], now: int) -> None:
    columns = [
        Column("key", least=12),
        Column("task", least=8),
        Column("size", right=True, leaves=2),
        Column("made"),
        Column("expires"),
        Column("run", leaves=1),
        Column("step", least=8, leaves=3),
    ]
    rows: list[list[Any]] = [
        [
            text((clean(_shown(each.key)), "bold")),
            clean(each.task),
            size(each.saved.size),
            age(each.created_at, now),
            _expires(each, now),
            short(each.run_id),
            clean(each.step),
        ]
        for each in found
    ]
    write_table(columns, rows)


def _shown(key: str) -> str:
    """A digest by its beginning, which `invalidate` takes too; any other key as it is."""
    is_digest = len(key) == 40 and not key.strip("0123456789abcdef")
    return key[:_SHOWN] if is_digest else key


def _expires(entry: Cached, now: int) -> Any:
    if entry.expires_at is None:
        return text(("never", _DIM))
    return text(("expired", "yellow")) if _is_expired(entry, now) else ahead(entry.expires_at, now)


@app.command(
    cls=Command,
    epilog=examples(
        "penstock cache invalidate --task fetch  # after asking",
        "penstock cache invalidate --task fetch --older-than 7d --yes  # both must hold",
        "penstock cache invalidate 892a7f2fe686be2d  # one, by the beginning of its key",
    ),
)
def invalidate(
    keys: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY...", help="Keys, or the beginning of one.", show_default=False),
    ] = None,
    task: Annotated[str | None, TASK] = None,
    older_than: Annotated[str | None, OLDER] = None,
    expired: Annotated[bool, EXPIRED] = False,
    yes: Annotated[bool, YES] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Invalidate results: of a task, by key, by age. What is given must all hold."""
    now = now_us()
    which = _filter(now, task, older_than, expired)
    if which == CacheFilter() and not keys:
        raise ConfigurationError(
            "Nothing says which results.", hint="give keys, --task, --older-than or --expired; or penstock cache clear"
        )
    with executing() as penstock:
        if keys:
            named = tuple(_found(penstock.journal, key) for key in keys)
            which = CacheFilter(keys=named, task=which.task, made_before=which.made_before, expired_by=which.expired_by)
        _forget(penstock.journal, which, "these results", yes, json)


def _found(journal: Journal, named: str) -> str:
    """The key that is named, or that alone begins so.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    found = [entry.key for entry in journal.cache_entries(CacheFilter(prefix=named), limit=2)] if named else []
    if named in found or len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(f"More than one key begins with {named!r}.", hint="give more of it")
    raise ConfigurationError(f"There is no result under the key {named!r}.", hint="penstock cache list shows the keys")


@app.command(
    cls=Command,
    epilog=examples(
        "penstock cache clear  # after asking",
        "penstock cache clear --yes",
    ),
)
def clear(yes: Annotated[bool, YES] = False, json: Annotated[bool, JSON] = False) -> None:
    """Invalidate every result: each is made anew when it is needed next."""
    with executing() as penstock:
        _forget(penstock.journal, CacheFilter(), "every cached result", yes, json)


def _forget(journal: Journal, which: CacheFilter, what: str, yes: bool, json: bool) -> None:
    if not yes and journal.cache_entries(which, limit=1):
        some = journal.cache_entries(which, limit=_SHOWN + 1)

        def show() -> None:
            if not json:
                _write(some[:_SHOWN], now_us())
                write(text(("..." if len(some) > _SHOWN else "", _DIM)))

        ask(f"Invalidate {what}?", what="invalidated", show=show)
    count = journal.forget_cached(which)
    if json:
        write_json({"invalidated": count})
    else:
        write(f"Invalidated {counted(count, 'result')}.")


command = typer.main.get_command(app)
