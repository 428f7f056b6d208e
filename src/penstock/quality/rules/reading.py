"""A configuration made into rules; all of its mistakes are told at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.quality.errors import BadRules
from penstock.quality.rules.arguments import condition, listed, number, texts, whole
from penstock.quality.rules.documents import read_document
from penstock.quality.rules.kinds import KINDS, Kind
from penstock.quality.rules.repairs import REPAIRS, Repair
from penstock.quality.rules.rule import SEVERITIES, Rule, short

_COMMON = ("rule", "column", "columns", "severity", "mostly", "where", "name")
_OPTIONS = ("name", "keys", "samples", "rules", "repairs")
_OF_REPAIRS = ("repair", "column", "columns")
_MOST_SAMPLES = 1_000
Mistakes = list[tuple[str, str]]


@dataclass(frozen=True)
class Configuration:
    """What a validator is made of.

    Attributes:
        rules: in the order in which they are written.
        name: of the dataset.
        keys: columns that tell rows apart; they are shown with failing rows.
        samples: how many failing rows of a rule are shown.
        repairs: what is mended before the rules are checked, where rows go on (`check`, `validated`).
    """

    rules: tuple[Rule, ...]
    name: str = ""
    keys: tuple[str, ...] = ()
    samples: int = 10
    repairs: tuple[Repair, ...] = ()


def read_configuration(config: Any) -> Configuration:
    """The rules of a file, a text, a mapping, or a list of rules.

    Raises:
        BadRules: with every mistake.
    """
    if isinstance(config, Configuration):
        return config
    if isinstance(config, str | Path):
        config = read_document(config)
    if isinstance(config, Rule):
        config = [config]
    mistakes: Mistakes = []
    if isinstance(config, Sequence) and not isinstance(config, str | bytes):
        config = {"rules": config}
    if not isinstance(config, Mapping):
        raise BadRules([("the rules", "neither a list of rules nor a mapping that has one under `rules`")])
    made = _configuration(config, mistakes)
    if mistakes:
        raise BadRules(mistakes)
    return made


def read_repairs(entries: Any) -> tuple[Repair, ...]:
    """Repairs as a configuration has them.

    Raises:
        BadRules: with every mistake.
    """
    mistakes: Mistakes = []
    found = _repairs(entries, mistakes)
    if mistakes:
        raise BadRules(mistakes)
    return found


def _configuration(config: Mapping[str, Any], mistakes: Mistakes) -> Configuration:
    for name in config:
        if name not in _OPTIONS:
            mistakes.append((str(name), f"unknown; there are: {', '.join(_OPTIONS)}{_close(name, _OPTIONS)}"))
    entries = config.get("rules")
    if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
        mistakes.append(("rules", "a list of rules is expected here"))
        entries = []
    rules = [rule for place, entry in enumerate(entries) for rule in _rules(entry, f"rules[{place}]", mistakes)]
    keys = config.get("keys") or ()
    if keys and texts(keys) is not None:
        mistakes.append(("keys", f"{short(keys)} is not {texts(keys)}"))
        keys = ()
    samples = config.get("samples", 10)
    if whole(samples) is not None or samples > _MOST_SAMPLES:
        mistakes.append(("samples", f"{short(samples)} is not a whole number from 0 to {_MOST_SAMPLES:,}"))
    name = config.get("name") or ""
    if not isinstance(name, str):
        mistakes.append(("name", f"{short(name)} is not a text"))
    repairs = _repairs(config.get("repairs") or (), mistakes)
    return Configuration(tuple(rules), name, tuple(listed(keys)), samples, repairs)


def _repairs(entries: Any, mistakes: Mistakes) -> tuple[Repair, ...]:
    if isinstance(entries, Mapping | str | Repair) or not isinstance(entries, Sequence):
        mistakes.append(("repairs", "a list of repairs is expected here"))
        return ()
    found = [_repair(entry, f"repairs[{place}]", mistakes) for place, entry in enumerate(entries)]
    return tuple(repair for repair in found if repair is not None)


def _repair(entry: Any, place: str, mistakes: Mistakes) -> Repair | None:
    if isinstance(entry, Repair):
        entry = entry.as_config()
    if isinstance(entry, str):
        entry = {"repair": entry}
    if not isinstance(entry, Mapping):
        mistakes.append((place, f"{short(entry)} is not a mapping, such as {{repair: trim, column: name}}"))
        return None
    kind = REPAIRS.get(entry["repair"]) if isinstance(entry.get("repair"), str) else None
    if kind is None:
        told = f"there is no repair {short(entry['repair'])}" if "repair" in entry else "which repair? (`repair: trim`)"
        mistakes.append((f"{place}.repair", f"{told}{_close(entry.get('repair'), REPAIRS)}"))
        return None
    columns = _columns(entry, kind, place, mistakes)
    return Repair(kind.name, columns, _arguments(entry, kind, place, mistakes, _OF_REPAIRS))


def _rules(entry: Any, place: str, mistakes: Mistakes) -> list[Rule]:
    """The rules of one entry: several where one is given several columns that it takes one by one."""
    if isinstance(entry, Rule):
        entry = entry.as_config()
    if not isinstance(entry, Mapping):
        mistakes.append((place, f"{short(entry)} is not a mapping, such as {{rule: not_null, column: id}}"))
        return []
    kind = KINDS.get(entry["rule"]) if isinstance(entry.get("rule"), str) else None
    if kind is None:
        told = f"there is no rule {short(entry['rule'])}" if "rule" in entry else "which rule? (`rule: not_null`)"
        mistakes.append((f"{place}.rule", f"{told}{_close(entry.get('rule'), KINDS)}"))
        return []
    before = len(mistakes)
    columns = _columns(entry, kind, place, mistakes)
    arguments = _arguments(entry, kind, place, mistakes)
    _check_common(entry, kind, place, mistakes)
    if len(mistakes) > before:
        return []
    groups = [(column,) for column in columns] if kind.columns == (1, 1) else [columns]
    return [
        Rule(
            kind.name,
            group,
            arguments,
            entry.get("severity", "error"),
            float(entry.get("mostly", 1.0)),
            entry.get("where") or None,
            entry.get("name", ""),
        )
        for group in groups
    ]


def _columns(entry: Mapping[str, Any], kind: Kind, place: str, mistakes: Mistakes) -> tuple[str, ...]:
    least, most = kind.columns
    given = [name for name in ("column", "columns") if entry.get(name) is not None]
    if len(given) == 2:
        mistakes.append((place, "has column and columns: one of them is enough"))
        return ()
    if not given:
        if least:
            wanted = "a column" if most == 1 else f"{least} columns" if least == most else f"columns, at least {least}"
            mistakes.append((place, f"{kind.name} needs {wanted}"))
        return ()
    value = entry[given[0]]
    if texts(value) is not None and value != []:
        mistakes.append((f"{place}.{given[0]}", f"{short(value)} is not {texts(value)}"))
        return ()
    columns = tuple(listed(value))
    if not most:
        mistakes.append((f"{place}.{given[0]}", f"{kind.name} is about no column"))
    elif most > 1 and not least <= len(columns) <= most:
        mistakes.append((f"{place}.columns", f"{kind.name} needs {least} columns, and here are {len(columns)}"))
    elif len(set(columns)) < len(columns):
        mistakes.append((f"{place}.columns", "a column is there twice"))
    return columns


def _arguments(
    entry: Mapping[str, Any], kind: Kind, place: str, mistakes: Mistakes, common: Sequence[str] = _COMMON
) -> dict[str, Any]:
    known = {argument.name: argument for argument in kind.arguments}
    before = len(mistakes)
    for name in entry:
        if name not in known and name not in common:
            told = f"{kind.name} takes no {name}; it takes: {', '.join(known) or 'nothing'}"
            mistakes.append((f"{place}.{name}", told + _close(name, known)))
    found: dict[str, Any] = {}
    for name, argument in known.items():
        value = entry.get(name)
        if value is None:
            if argument.required:
                mistakes.append((place, f"{kind.name} needs {name}"))
            continue
        wanted = argument.accepts(value)
        if wanted is not None:
            mistakes.append((f"{place}.{name}", f"{short(value)} is not {wanted}"))
        found[name] = value
    if len(mistakes) == before and kind.check is not None and (wrong := kind.check(found)):
        mistakes.append((place, wrong))
    return found


def _check_common(entry: Mapping[str, Any], kind: Kind, place: str, mistakes: Mistakes) -> None:
    severity = entry.get("severity", "error")
    if severity not in SEVERITIES:
        mistakes.append((f"{place}.severity", f"{short(severity)} is not one of {', '.join(SEVERITIES)}"))
    mostly = entry.get("mostly", 1.0)
    if number(mostly) is not None or not 0 <= mostly <= 1:
        mistakes.append((f"{place}.mostly", f"{short(mostly)} is not a number from 0 to 1"))
    elif mostly < 1 and kind.level != "row":
        mistakes.append((f"{place}.mostly", f"{kind.name} is not about rows, of which there could be mostly good ones"))
    where = entry.get("where")
    if where is not None and (wanted := condition(where)) is not None:
        mistakes.append((f"{place}.where", f"{short(where)} is not {wanted}"))
    elif where is not None and kind.level == "schema":
        mistakes.append((f"{place}.where", f"{kind.name} is about names and types, of all rows"))
    name = entry.get("name", "")
    if not isinstance(name, str):
        mistakes.append((f"{place}.name", f"{short(name)} is not a text"))


def _close(name: Any, known: Any) -> str:
    close = difflib.get_close_matches(str(name), list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
