"""Profiles: the same project elsewhere. Each is a named set of settings, `[tool.penstock.profiles.NAME]`."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from penstock.core.errors import ConfigurationError

VARIABLE = "PENSTOCK_PROFILE"
ENVIRONMENT, PARAMETERS = "environment", "parameters"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$(\$)?\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?)?[^}]*\}")
_SQLITE = "sqlite:///"


class Profile(msgspec.Struct, frozen=True):
    """A named set of settings.

    Attributes:
        name: its name.
        file: the pyproject.toml that it stands in.
        settings: by name, as `Settings` has them.
        environment: variables that are set where the environment does not have them.
        parameters: of flows, by the flow's name, for runs that are not given others.
    """

    name: str
    file: str
    settings: dict[str, object]
    environment: dict[str, str]
    parameters: dict[str, dict[str, Any]]


def tables_of(given: object, file: str) -> dict[str, dict[str, Any]]:
    """What stands under `[tool.penstock.profiles]`, by name.

    Raises:
        ConfigurationError: it is no table of tables, or a profile cannot be called so.
    """
    example = "write a table for each, such as [tool.penstock.profiles.services]"
    if not isinstance(given, dict) or not all(isinstance(table, dict) for table in given.values()):
        raise ConfigurationError(f"{file}: the profiles are no tables.", hint=example)
    for name in given:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{file}: {name[:60]!r} cannot be the name of a profile.",
                hint="use letters, digits, _ and -, with a letter first",
            )
    return given


def profile_of(
    tables: Mapping[str, Mapping[str, Any]], name: str, file: str, environ: Mapping[str, str], fields: Collection[str]
) -> Profile:
    """One of the profiles of a file.

    A text in it may hold `${NAME}` or `${NAME:-otherwise}`, which stands for a variable of the environment or of the
    profile's own; `$${` stands for `${`.

    Args:
        tables: all of them.
        name: which one.
        file: where they stand; relative paths among the settings are meant from there.
        environ: the environment.
        fields: the names of the settings there are.

    Raises:
        ConfigurationError: there is no such profile, or something in it cannot be.
    """
    if name not in tables:
        close = difflib.get_close_matches(name, tables, 1)
        known = f"did you mean {close[0]}?" if close else f"there are: {', '.join(tables)}"
        hint = known if tables else "add one, as a table [tool.penstock.profiles.NAME]"
        raise ConfigurationError(f"There is no profile {name!r} in {file}.", hint=hint)
    table, where = tables[name], f"[tool.penstock.profiles.{name}]"
    there = {variable: value for variable, value in environ.items() if value}
    environment = _environment(table.get(ENVIRONMENT, {}), where, there, fields)
    filled = {**environment, **there}
    settings = {each: _filled(value, filled, where) for each, value in _settings(table, where, fields).items()}
    return Profile(name, file, _placed(settings, PurePath(file).parent), environment, _parameters(table, where, filled))


def _settings(table: Mapping[str, Any], where: str, fields: Collection[str]) -> dict[str, Any]:
    found = {name: value for name, value in table.items() if name not in (ENVIRONMENT, PARAMETERS)}
    retention = found.get("retention")
    if isinstance(retention, dict):
        del found["retention"]
        found |= {f"retention_{name}": value for name, value in retention.items()}
    unknown = sorted(set(found) - set(fields))
    if unknown:
        raise ConfigurationError(
            f"{where} has unknown settings: {', '.join(unknown)}.",
            hint=f"there are: {', '.join(fields)}, and the tables {ENVIRONMENT} and {PARAMETERS}",
        )
    return found


def _environment(table: object, where: str, environ: Mapping[str, str], fields: Collection[str]) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where}: {ENVIRONMENT} is no table.", hint='such as environment.AWS_REGION = "eu"')
    settings = {f"PENSTOCK_{field.upper()}": field for field in fields}
    found: dict[str, str] = {}
    for name, value in table.items():
        if name in settings:
            raise ConfigurationError(
                f"{where}: {name} is a setting, no variable.", hint=f"write {settings[name]} = ... in {where} itself"
            )
        if name == VARIABLE or not _VARIABLE.fullmatch(name):
            raise ConfigurationError(f"{where}: {name!r} can be no variable of a profile.")
        value = _filled(value, {**found, **environ}, where)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            value = json.dumps(value, default=str)
        found[name] = str(value)
    return found


def _parameters(table: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found = table.get(PARAMETERS, {})
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise ConfigurationError(
            f"{where}: {PARAMETERS} is no table of flows.", hint=f"write [{where[1:-1]}.{PARAMETERS}.FLOW]"
        )
    return {flow: _filled(values, environ, where) for flow, values in found.items()}


def _filled(value: Any, environ: Mapping[str, str], where: str) -> Any:
    """A value with variables in the place of what stands for them."""
    if isinstance(value, dict):
        return {name: _filled(each, environ, where) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, environ, where) for each in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        doubled, name, otherwise = found.groups()
        if doubled:
            return found[0][1:]
        if name is None or (otherwise is None and found[0] != f"${{{name}}}"):
            raise ConfigurationError(
                f"{where}: {found[0][:80]!r} cannot be read.",
                hint="write ${NAME} or ${NAME:-otherwise}, and $${ where ${ itself is meant",
            )
        if name in environ:
            return environ[name]
        if otherwise is None:
            raise ConfigurationError(
                f"{where} needs the variable {name}, which is not set.",
                hint=f"set it, or write ${{{name}:-otherwise}} in the profile",
            )
        return otherwise.removeprefix(":-")

    return _REFERENCE.sub(variable, value)


def _placed(settings: dict[str, object], folder: PurePath) -> dict[str, object]:
    """Paths are meant from the file, so that they are the same for processes in other folders."""
    home, url = settings.get("home"), settings.get("database_url")
    if isinstance(home, str) and home and not home.startswith("~"):
        settings["home"] = str(folder / home)
    if isinstance(url, str) and url.startswith(_SQLITE):
        settings["database_url"] = f"{_SQLITE}{folder / url.removeprefix(_SQLITE)}"
    return settings
