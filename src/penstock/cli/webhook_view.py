"""How webhooks and what came to them are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.cli.console import Column, clean, clean_lines, counted, fitting, text, write, write_json, write_table
from penstock.cli.session import short
from penstock.cli.units import age, iso, size
from penstock.control.webhooks import Hook, Outcome, Rehearsal, spec_of
from penstock.control.webhooks.deliveries import Kept
from penstock.core.events import now_us
from penstock.core.plans import Happened
from penstock.core.webhooks import ACCEPTED, DUPLICATE, FAILED, StoredDelivery

_DIM = "bright_black"
_SIGNS = {ACCEPTED: ("✓ ", "green"), DUPLICATE: ("· ", _DIM), FAILED: ("✗ ", "yellow")}
_REFUSED = ("✗ ", "red")


def hook_record(hook: Hook, last: Sequence[StoredDelivery] = ()) -> dict[str, Any]:
    """A webhook as JSON."""
    found = {**spec_of(hook), "path": f"/hooks/{hook.slug}"}
    return {**found, "last_delivery": delivery_record(last[0])} if last else found


def delivery_record(row: StoredDelivery) -> dict[str, Any]:
    """A delivery as JSON."""
    found: dict[str, Any] = msgspec.structs.asdict(row)
    return {**found, "at": iso(row.at)}


def _event(event: Happened) -> dict[str, Any]:
    return {"event": event.name, "resource": event.about, "payload": event.facts}


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """What became of a request, as JSON."""
    found = msgspec.structs.asdict(outcome)
    return {**found, "events": [_event(each) for each in outcome.events]}


def write_hooks(hooks: Sequence[Hook], last: Mapping[str, Sequence[StoredDelivery]]) -> None:
    """A table of webhooks."""
    now = now_us()
    columns = [Column("webhook", least=8), Column("signature"), Column("makes", least=10), Column("last", leaves=1)]
    rows: list[list[Any]] = []
    for hook in hooks:
        made = "template" if hook.template is not None else str((hook.mapping or {}).get("event", "webhook.{hook}"))
        newest = last[hook.slug]
        told = f"{newest[0].status} {age(newest[0].at, now)}" if newest else ""
        name = text(clean(hook.slug)) if hook.active else text(clean(hook.slug), (" (off)", _DIM))
        rows.append([name, hook.signature.scheme, clean(made), told])
    write_table(columns, rows)


def write_hook(hook: Hook) -> None:
    """All of a webhook."""
    head = "" if hook.active else ", switched off"
    write(text((clean(hook.slug), "bold"), (f"  POST /hooks/{hook.slug}, {hook.signature.scheme}{head}", _DIM)))
    if hook.description:
        write(clean(hook.description), indent=2)
    shown = spec_of(hook)
    for name in ("slug", "template", "mapping", "active", "description"):
        shown.pop(name, None)
    for name, value in shown.items():
        write(text((f"  {name}  ", _DIM), clean(msgspec.json.encode(value).decode())))
    if hook.mapping is not None:
        write(text(("  mapping", _DIM)))
        _write_json(hook.mapping, 4)
    if hook.template is not None:
        write(text(("  template", _DIM)))
        for line in clean_lines(hook.template.rstrip()):
            write(line, indent=4)


def _write_json(value: Any, indent: int) -> None:
    for line in clean_lines(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()):
        write(line, indent=indent)


def write_deliveries(rows: Sequence[StoredDelivery]) -> None:
    """A table of deliveries."""
    now = now_us()
    columns = [
        *(Column("id"), Column("webhook", least=8), Column("status"), Column("why", least=12)),
        *(Column("bytes", right=True, leaves=2), Column("from", leaves=3), Column("came", leaves=1)),
    ]
    cells: list[list[Any]] = []
    for row in rows:
        sign, style = _SIGNS.get(row.status, _REFUSED)
        told = text((fitting(sign), style), row.status)
        why = row.message or (f"again {short(row.again)}" if row.again else "")
        rest = [clean(why), size(row.size), clean(row.address or ""), age(row.at, now)]
        cells.append([short(row.id), clean(row.hook), told, *rest])
    write_table(columns, cells)


def write_delivery(kept: Kept, json: bool) -> None:
    """All of one delivery."""
    row, request = kept.row, kept.request
    if json:
        said = {"method": request.method, "path": request.path, "headers": request.headers, "query": request.query}
        body = request.body.decode("utf-8", "backslashreplace")
        record = {**delivery_record(row), "request": {**said, "body": body}}
        write_json({"delivery": record, "events": [_event(each) for each in kept.events]})
        return
    sign, style = _SIGNS.get(row.status, _REFUSED)
    write(text((fitting(sign), style), (row.id, "bold"), (f"  {clean(row.hook)}, {row.status}", _DIM)))
    if row.message:
        write(clean(row.message), indent=2)
    write(text(("  request", _DIM)))
    write(f"{clean(request.method)} {clean(request.path)}", indent=4)
    for name, value in request.headers:
        write(f"{clean(name)}: {clean(value)}", indent=4)
    for line in clean_lines(request.body.decode("utf-8", "backslashreplace"))[:40]:
        write(line, indent=4)
    for event in kept.events:
        _write_event(event)


def _write_event(event: Happened) -> None:
    about = f" about {clean(event.about)}" if event.about is not None else ""
    write(text(("  event  ", _DIM), (clean(event.name), "cyan"), about))
    if event.facts:
        _write_json(event.facts, 4)


def write_rehearsal(found: Rehearsal, scheme: str, signed: bool, json: bool) -> None:
    """What would become of a request to a webhook of this scheme; `signed`: whether its signature was looked at."""
    anybody = scheme == "none" and found.refused is None
    if json:
        why = {"refused": found.refused, "failed": found.failed}
        told: dict[str, Any] = {"verified": found.refused is None if signed and not anybody else None}
        told |= {name: {"reason": each[0], "message": each[1]} if each else None for name, each in why.items()}
        rest = {"delivery": found.delivery, "answer": found.answer, "events": [_event(each) for each in found.events]}
        write_json({**told, **rest})
        return
    if not signed:
        write(text((fitting("· "), _DIM), "The signature was not looked at."))
    elif anybody:
        write(text((fitting("· "), _DIM), "Nobody knows who sent it: the signature of this webhook is none."))
    elif found.refused is None:
        write(text((fitting("✓ "), "green"), "It is verified."))
    else:
        write(text((fitting(_REFUSED[0]), _REFUSED[1]), clean(found.refused[1])))
    if found.failed is not None:
        write(text((fitting(_REFUSED[0]), _REFUSED[1]), clean(found.failed[1])))
    elif found.answer is not None:
        write(f"It is answered: {clean(found.answer)}")
    else:
        write(text((fitting("✓ "), "green"), f"It becomes {counted(len(found.events), 'event')}:"))
    for event in found.events:
        _write_event(event)


def write_outcome(outcome: Outcome) -> None:
    """What became of a delivery."""
    sign, style = _SIGNS.get(outcome.status, _REFUSED)
    told = clean(outcome.message) if outcome.message else f"{outcome.status}: {outcome.id}"
    write(text((fitting(sign), style), told))
    for event in outcome.events:
        _write_event(event)
