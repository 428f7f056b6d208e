"""A model: a query in a file, and what is to be made of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

from penstock.core.errors import ConfigurationError
from penstock.stores.elt.failures import BadModel, line_in_file, place
from penstock.stores.elt.lineage import statements
from penstock.stores.elt.templates import REQUIRED, Rendered, Template
from penstock.stores.warehouse.materializing import Index, Kind, OnChange, Strategy
from penstock.stores.warehouse.names import Name, check

SUFFIX = ".sql"
RESERVED = ("return_state", "wait_for", "full_refresh", "select", "exclude")
_OPTIONS = (
    "materialized", "unique_key", "schema", "alias", "indexes", "tags", "on_schema_change", "incremental_strategy",
)  # fmt: skip
_ON_CHANGE: dict[str, OnChange] = {
    "evolve": "evolve",
    "append_new_columns": "evolve",
    "fail": "fail",
    "ignore": "ignore",
}


class Config(NamedTuple):
    """What a model says is to be made of it.

    Attributes:
        kind: `table`, `view` or `incremental`.
        table: the name of what is made.
        keys: of `incremental`.
        strategy: of `incremental`.
        on_change: of `incremental`.
        indexes: of a table.
        tags: for choosing models.
    """

    kind: Kind
    table: Name
    keys: tuple[str, ...] = ()
    strategy: Strategy = "append"
    on_change: OnChange = "evolve"
    indexes: tuple[Index, ...] = ()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Model:
    """A query in a file.

    Attributes:
        name: what others refer to it by.
        file: where it is.
        config: what is to be made of it.
        template: the file's text.
        variables: of the project.
        relations: the tables that stand for its refs.
    """

    name: str
    file: str
    config: Config
    template: Template
    variables: Mapping[str, Any]
    relations: Mapping[str, Name]

    @property
    def refs(self) -> tuple[str, ...]:
        """The models and inputs it refers to."""
        return tuple(self.template.facts.refs)

    @property
    def params(self) -> dict[str, Any]:
        """The parameters it takes, and their defaults; `REQUIRED` where there is none."""
        return dict(self.template.facts.params)

    @property
    def sources(self) -> tuple[Name, ...]:
        """The tables that it names as sources."""
        return tuple(self.template.facts.sources)

    def query(self, *, incremental: bool = False, params: Mapping[str, Any] | None = None) -> Rendered:
        """The query as the database gets it.

        Args:
            incremental: rows are added to a table that is there.
            params: values of parameters.

        Raises:
            BadModel: it cannot be rendered; the line is told.
        """
        defaults = {name: value for name, value in self.params.items() if value is not REQUIRED}
        given = {**defaults, **(params or {})}
        return self.template.render(self.config.table, self._relation, incremental, self.variables, given)

    def line(self, sql: str, line: int | None) -> int | None:
        """The line of the file that a line of the query came from."""
        return line_in_file(self.template.text, sql, line)

    def _relation(self, name: str) -> Name:
        if name not in self.relations:
            raise BadModel(f'ref("{name}") is no model and no input.')
        return self.relations[name]


class Draft(NamedTuple):
    """A file that was looked at, before it is known what its refs stand for."""

    name: str
    file: str
    template: Template
    config: Config | None
    mistakes: tuple[str, ...]

    def model(self, variables: Mapping[str, Any], relations: Mapping[str, Name]) -> Model:
        """The model, where there were no mistakes."""
        if self.config is None:
            raise BadModel(f"{self.file} has mistakes: {'; '.join(self.mistakes)}")
        return Model(self.name, self.file, self.config, self.template, dict(variables), dict(relations))


def drafted(path: Path, shown: str, variables: Mapping[str, Any], schema: str) -> Draft:
    """Look at a file.

    Args:
        path: of the file.
        shown: its name, for messages.
        variables: of the project.
        schema: where the table is when the file does not say.
    """
    name = path.name.removesuffix(SUFFIX)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        return Draft(name, shown, Template(shown, ""), None, (f"{shown} cannot be read: {told}",))
    template = Template(shown, text)
    template.learn(variables)
    mistakes = list(template.mistakes)
    if not text.strip():
        mistakes.append(f"{shown} is empty: a model is a SELECT")
    config: Config | None = None
    if not mistakes:
        config, wrong = _config(template.facts.config, name, schema)
        mistakes += [f"{place(shown, _line_of_config(text))}: {one}" for one in wrong]
        mistakes += [f"{shown}: {one}" for one in _wrong_with(template, config, variables)]
    return Draft(name, shown, template, None if mistakes else config, tuple(mistakes))


def _line_of_config(text: str) -> int | None:
    return next((at for at, line in enumerate(text.splitlines(), 1) if "config(" in line), None)


def _wrong_with(template: Template, config: Config, variables: Mapping[str, Any]) -> list[str]:
    reserved = [name for name in template.facts.params if name in RESERVED]
    found = [f"a parameter cannot be called {name}, which every call takes" for name in reserved]
    if config.kind == "view" and template.facts.params:
        names = ", ".join(template.facts.params)
        found.append(f"a view is asked later, when nobody gives {names}: make it a table, or use var")
    for incremental in (False, True):
        sql = template.render(config.table, lambda name: Name("schema", name), incremental, variables, {}).sql
        several = statements(sql)
        if several is not None and several != 1:
            found.append(f"it has {several} statements, and must be one SELECT")
            break
    return found


def _config(given: Mapping[str, Any], name: str, schema: str) -> tuple[Config, list[str]]:
    """The options of a model, and what is wrong with them."""
    wrong = [f"config has no option {option}{_hint(option)}" for option in given if option not in _OPTIONS]
    kind = given.get("materialized", "table")
    if kind not in get_args(Kind):
        wrong.append(f"materialized is {kind!r}, and must be one of {', '.join(get_args(Kind))}")
    keys = _names(given.get("unique_key"), "unique_key", wrong)
    strategy = given.get("incremental_strategy", "delete+insert" if keys else "append")
    if strategy not in get_args(Strategy):
        wrong.append(f"incremental_strategy is {strategy!r}, and must be one of {', '.join(get_args(Strategy))}")
    elif strategy != "append" and not keys:
        wrong.append(f"incremental_strategy={strategy!r} needs a unique_key")
    on_change = given.get("on_schema_change", "evolve")
    if not isinstance(on_change, str) or on_change not in _ON_CHANGE:
        wrong.append(f"on_schema_change is {on_change!r}, and must be one of {', '.join(_ON_CHANGE)}")
    if kind != "incremental":
        only = [each for each in ("unique_key", "incremental_strategy", "on_schema_change") if each in given]
        wrong += [f'{each} is for materialized="incremental"' for each in only]
    indexes = _indexes(given.get("indexes") or (), wrong)
    if kind == "view" and indexes:
        wrong.append("a view has no indexes")
    tags = frozenset(_names(given.get("tags"), "tags", wrong))
    place_of = Name(str(given.get("schema") or schema), str(given.get("alias") or name))
    for part in (place_of.schema, place_of.table):
        try:
            check(part)
        except ConfigurationError as error:
            wrong.append(error.message)
    return Config(kind, place_of, keys, strategy, _ON_CHANGE.get(str(on_change), "evolve"), indexes, tags), wrong


def _hint(option: str) -> str:
    close = difflib.get_close_matches(option, _OPTIONS, 1)
    return f" (did you mean {close[0]}?)" if close else f" (there are: {', '.join(_OPTIONS)})"


def _names(given: Any, option: str, wrong: list[str]) -> tuple[str, ...]:
    """A name or several."""
    names = (given,) if isinstance(given, str) else given
    if names is None:
        return ()
    if not isinstance(names, Iterable) or not all(isinstance(name, str) and name for name in names):
        wrong.append(f"{option} is {given!r}, and must be a name or a list of names")
        return ()
    return tuple(names)


def _indexes(given: Any, wrong: list[str]) -> tuple[Index, ...]:
    """Indexes as dbt has them, such as `{"columns": ["day"], "unique": True}`, or names of columns."""
    found: list[Index] = []
    if not isinstance(given, Iterable):
        wrong.append(f"indexes is {given!r}, and must be a list")
        return ()
    for one in (given,) if isinstance(given, (str, Mapping)) else given:
        said = one if isinstance(one, Mapping) else {"columns": one}
        before = len(wrong)
        columns = _names(said.get("columns"), "an index's columns", wrong)
        if unknown := sorted(set(said) - {"columns", "unique", "type"}):
            wrong.append(f"an index has no {', '.join(unknown)}: it has columns, and may be unique")
        if said.get("type") not in (None, "btree"):
            wrong.append(f"an index of type {said['type']!r} is not there: leave the type out")
        if not columns and len(wrong) == before:
            wrong.append("an index has at least one column")
        if len(wrong) == before:
            found.append(Index(columns=columns, unique=bool(said.get("unique"))))
    return tuple(found)
