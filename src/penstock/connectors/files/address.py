"""`orders/*.csv`, `s3://bucket/orders/`, `tail:app.log` as addresses."""

from __future__ import annotations

import os
import re
from typing import Any

from penstock.connectors.files.export import FileExport
from penstock.connectors.files.source import Files
from penstock.connectors.files.tail import Tail
from penstock.core.addresses import FILES, Address
from penstock.core.errors import ConfigurationError, DatasetNotFound

_TEXTS = ("format", "compression", "encoding", "delimiter", "quote", "changed", "broken", "ready", "manifest")
_PATTERN = re.compile(r"[*?\[]")
_SWITCHES = ("header", "infer", "verify", "follow")
_NUMBERS = {"settle_seconds": float, "poll_seconds": float, "batch_bytes": int}


def at(address: Address) -> Files:
    """The files at an address.

    Options: all of `Files` but `store`. `names` and `nulls` are separated by commas, `schema` is `id:int64,day:date32`,
    and what the object store is to be told begins with `storage.` (`storage.endpoint=http://...`).

    Raises:
        ConfigurationError: an option cannot be.
    """
    storage = {name: value for name, value in address.options.items() if name.startswith("storage.")}
    rest = address._replace(options={name: text for name, text in address.options.items() if name not in storage})
    given = rest.taken(*_TEXTS, *_SWITCHES, *_NUMBERS, "names", "nulls", "schema")
    options = _plain(given)
    for name in ("names", "nulls"):
        if name in given:
            options[name] = tuple(given[name].split(","))
    if "schema" in given:
        options["schema"] = _schema(given["schema"])
    told = {name.removeprefix("storage."): value for name, value in storage.items()}
    path = _path(address)
    if "://" not in path and not options.get("follow") and not _PATTERN.search(path) and not os.path.exists(path):
        raise DatasetNotFound(f"There is no file or folder {path}.", hint="a pattern such as 'orders/*.csv' may be")
    return Files(path, storage=told, **options)


def tail_at(address: Address) -> Tail:
    """The growing file at an address. Options: all of `Tail`; of `schema` as of files.

    Raises:
        ConfigurationError: an option cannot be.
    """
    numbers = ("poll_seconds", "rotate_seconds", "batch_bytes")
    given = address.taken("format", "column", "gaps", "follow", "schema", *numbers)
    options: dict[str, Any] = {name: given[name] for name in ("format", "column", "gaps") if name in given}
    options |= {name: _number(name, given[name], float) for name in numbers if name in given}
    if "follow" in given:
        options["follow"] = _switch("follow", given["follow"])
    if "schema" in given:
        options["schema"] = _schema(given["schema"])
    return Tail(address.rest, **options)


def sink_at(address: Address) -> FileExport:
    """The export at an address. Options: all of `FileExport`; `append` where the path ends with a slash.

    Raises:
        ConfigurationError: an option cannot be.
    """
    options: dict[str, Any] = dict(address.taken("mode", "format", "compression", "delimiter"))
    path = _path(address)
    if "://" in path:
        raise ConfigurationError(f"{path}: files are exported to a folder here.", hint="write to the lake instead")
    options.setdefault("mode", "append" if path.endswith("/") else "replace")
    return FileExport(path, **options)


def _path(address: Address) -> str:
    return address.rest if address.scheme in (FILES, "file") and "//" not in address.rest[:2] else address.url


def _plain(given: dict[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given}
    options |= {name: _switch(name, given[name]) for name in _SWITCHES if name in given}
    return options | {name: _number(name, given[name], kind) for name, kind in _NUMBERS.items() if name in given}


def _switch(name: str, text: str) -> bool:
    if text.lower() in ("true", "yes", "1", "false", "no", "0"):
        return text.lower() in ("true", "yes", "1")
    raise ConfigurationError(f"{name} is true or false, and not {text!r}.")


def _number(name: str, text: str, kind: Any) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ConfigurationError(f"{name} is a number, and not {text!r}.") from None


def _schema(text: str) -> dict[str, str]:
    told = {}
    for part in re.split(r",(?![^(\[]*[)\]])", text):
        name, colon, kind = part.partition(":")
        if not colon:
            raise ConfigurationError(f"schema: {part!r} is no column with a type.", hint="such as id:int64,day:date32")
        told[name.strip()] = kind.strip()
    return told
