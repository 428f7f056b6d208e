"""A SQL file with Jinja in it, with dbt's words: what it says of itself, and the query that it becomes."""

from __future__ import annotations

import datetime
import decimal
import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock.core.extras import LateExtra
from penstock.stores.elt.failures import BadModel, place
from penstock.stores.warehouse.names import Name

if TYPE_CHECKING:
    import jinja2
    from jinja2 import nodes, sandbox
else:
    jinja2 = LateExtra("jinja2", "data")
    nodes = LateExtra("jinja2.nodes", "data")
    sandbox = LateExtra("jinja2.sandbox", "data")

WORDS = ("config", "ref", "source", "this", "is_incremental", "var", "param")
_OF_JINJA = ("range", "dict", "cycler", "joiner", "namespace", "loop", "caller", "varargs", "kwargs")
_PLAIN_TEXT = re.compile(r"[\w.:+/-]*")
_MISSING: Any = object()
REQUIRED: Any = inspect.Parameter.empty
"""Stands for the default of a parameter that has none."""


class Relation(str):
    """A table or view: its quoted name, and the parts of it.

    Attributes:
        schema: where it is.
        name: what it is called there; `identifier` and `table` in dbt's words.
    """

    schema: str
    name: str

    def __new__(cls, of: Name) -> Relation:
        """The table."""
        made = super().__new__(cls, of.sql)
        made.schema, made.name = of.schema, of.table
        return made

    @property
    def identifier(self) -> str:
        """Its name."""
        return self.name

    table = identifier


class _Bound:
    """A parameter in a query: only its number is put in."""

    def __init__(self, number: int) -> None:
        self.text = f"${number}"


class Rendered(NamedTuple):
    """A query.

    Attributes:
        sql: in which `$1`, `$2`, ... stand for values.
        values: those.
    """

    sql: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class Facts:
    """What a template says of itself.

    Attributes:
        config: what it was told with `config(...)`.
        refs: the models it refers to, in order.
        sources: the tables it names with `source(...)`.
        params: the parameters it takes, and their defaults.
    """

    config: dict[str, Any] = field(default_factory=dict)
    refs: list[str] = field(default_factory=list)
    sources: list[Name] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)


class _Words:
    """What a template may call while it is rendered."""

    def __init__(
        self,
        facts: Facts,
        relation_of: Callable[[str], Name],
        incremental: bool,
        variables: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> None:
        self._facts = facts
        self._relation_of = relation_of
        self._incremental = incremental
        self._variables = variables
        self._given = given
        self._numbers: dict[str, int] = {}
        self.values: list[Any] = []

    def config(self, **options: Any) -> str:
        """Options of the model."""
        self._facts.config.update(options)
        return ""

    def ref(self, *names: str) -> Relation:
        """Another model, or an input."""
        if len(names) != 1 or not isinstance(names[0], str):
            raise BadModel('ref takes the name of one model: ref("orders").')
        if names[0] not in self._facts.refs:
            self._facts.refs.append(names[0])
        return Relation(self._relation_of(names[0]))

    def source(self, schema: str, table: str) -> Relation:
        """A table that no model makes."""
        name = Name(schema, table)
        if name not in self._facts.sources:
            self._facts.sources.append(name)
        return Relation(name)

    def is_incremental(self) -> bool:
        """Rows are added to a table that is there."""
        return self._incremental

    def var(self, name: str, default: Any = _MISSING) -> Any:
        """A variable of the project."""
        if name in self._variables:
            return _plain(name, self._variables[name])
        if default is _MISSING:
            raise BadModel(f'var("{name}") has no value: give one with variables={{"{name}": ...}}, or a default.')
        return default

    def param(self, name: str, default: Any = _MISSING) -> _Bound:
        """A parameter, which the database gets beside the query."""
        if name not in self._numbers:
            self.values.append(self._given.get(name, default))
            self._numbers[name] = len(self.values)
        return _Bound(self._numbers[name])


def _plain(name: str, value: Any) -> Any:
    """A variable's value, where it can stand in a query as it is."""
    if isinstance(value, str) and (not _PLAIN_TEXT.fullmatch(value) or "--" in value):
        raise BadModel(
            f'var("{name}") is {value!r}: a variable becomes part of the query, and so may hold letters, digits and '
            f'. _ : + - / only. What may hold anything is a parameter: {{{{ param("{name}") }}}}.'
        )
    if isinstance(value, Mapping):
        return {_plain(name, key): _plain(name, item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(name, item) for item in value]
    if value is None or isinstance(value, (str, int, float, decimal.Decimal, datetime.date)):
        return value
    raise BadModel(f'var("{name}") is a {type(value).__name__}, and must be a text, a number, a date or several.')


def _put_in(value: Any) -> Any:
    """What `{{ ... }}` puts into the query."""
    if isinstance(value, (str, jinja2.Undefined)):
        return value
    if isinstance(value, _Bound):
        return value.text
    if isinstance(value, (int, float, decimal.Decimal)):
        return str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    told = "None" if value is None else f"a {type(value).__name__}"
    raise BadModel(f"{{{{ ... }}}} gives {told} here, which is no SQL.")


class Template:
    """A file.

    Args:
        file: its name, for messages.
        text: what is in it.

    Attributes:
        mistakes: what is wrong with it, each with its place; a template with mistakes cannot be rendered.
        facts: what it says of itself.
    """

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self.mistakes: list[str] = []
        self.facts = Facts()
        self._template: Any = None
        environment = sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, finalize=_put_in, autoescape=False)
        try:
            tree = environment.parse(text, filename=file)
            code = environment.compile(text, filename=file)
        except jinja2.TemplateSyntaxError as error:
            self.mistakes.append(f"{place(file, error.lineno)}: {error.message}")
            return
        except BadModel as error:
            self.mistakes.append(f"{file}: {error.message}")
            return
        self._template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        self._look_at(tree)

    def __reduce__(self) -> Any:
        return _restored, (self.file, self.text, self.facts)

    def learn(self, variables: Mapping[str, Any]) -> None:
        """Find out what the file says of itself, by rendering it both ways; mistakes are added to those known."""
        for incremental in (True, False):
            if self.mistakes:
                return
            self.facts.config.clear()
            try:
                self.render(Name("schema", "model"), lambda name: Name("schema", name), incremental, variables, {})
            except BadModel as error:
                self.mistakes.append(error.message)

    def render(
        self,
        this: Name,
        relation_of: Callable[[str], Name],
        incremental: bool,
        variables: Mapping[str, Any],
        given: Mapping[str, Any],
    ) -> Rendered:
        """The query.

        Args:
            this: the model's own table.
            relation_of: gives the table of another model.
            incremental: rows are added to a table that is there.
            variables: of the project.
            given: the parameters.

        Raises:
            BadModel: it cannot be rendered; the line is told.
        """
        words = _Words(self.facts, relation_of, incremental, variables, given)
        callable_words = {word: getattr(words, word) for word in WORDS if word != "this"}
        try:
            sql = self._template.render(**callable_words, this=Relation(this))
        except Exception as error:
            line = _line_of(error, self.file)
            told = error.message if isinstance(error, BadModel) else _told(error)
            raise BadModel(f"{place(self.file, line)}: {told}") from error
        return Rendered(sql.strip().removesuffix(";").rstrip(), tuple(words.values))

    def _look_at(self, tree: nodes.Template) -> None:
        """Find what is said in words that stand there, in parts that are not rendered too."""
        for name in tree.find_all(nodes.Name):
            if name.ctx == "load" and name.name not in (*WORDS, *_OF_JINJA) and not _is_set(tree, name.name):
                known = ", ".join(WORDS)
                self._mistake(name, f"there is no {name.name} here: a model may use {known}")
        direct = dict(_put_in_as_they_are(tree))
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "param":
                self._param(call, direct.get(id(call)))
            elif isinstance(call.node, nodes.Name) and call.node.name == "ref":
                found = _constants(call)
                if found is not None and len(found[0]) == 1 and found[0][0] not in self.facts.refs:
                    self.facts.refs.append(found[0][0])

    def _param(self, call: nodes.Call, in_quotes: bool | None) -> None:
        found = _constants(call)
        if found is None or not found[0] or not isinstance(found[0][0], str) or not found[0][0].isidentifier():
            self._mistake(call, 'the name of a parameter is a plain text: param("since")')
            return
        (name, *more), options = found
        if in_quotes is None:
            self._mistake(
                call,
                f'a parameter can only be put in as it is: {{{{ param("{name}") }}}}; to decide something in Jinja, '
                "there is var",
            )
        elif in_quotes:
            self._mistake(call, f'param("{name}") stands in quotes, and would be no parameter: leave them out')
        default = more[0] if more else options.get("default", REQUIRED)
        if name not in self.facts.params or self.facts.params[name] is REQUIRED:
            self.facts.params[name] = default

    def _mistake(self, node: nodes.Node, what: str) -> None:
        told = f"{place(self.file, node.lineno)}: {what}"
        if told not in self.mistakes:
            self.mistakes.append(told)


def _put_in_as_they_are(tree: nodes.Template) -> Iterator[tuple[int, bool]]:
    """Calls that stand alone in `{{ }}`, by identity, and whether quotes are around them."""
    for output in tree.find_all(nodes.Output):
        for at, node in enumerate(output.nodes):
            if isinstance(node, nodes.Call):
                before = output.nodes[at - 1] if at else None
                after = output.nodes[at + 1] if at + 1 < len(output.nodes) else None
                yield id(node), _data(before).endswith("'") and _data(after).startswith("'")


def _data(node: nodes.Node | None) -> str:
    return node.data if isinstance(node, nodes.TemplateData) else ""


def _constants(call: nodes.Call) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments of a call; None where they are not written out."""
    if call.dyn_args is not None or call.dyn_kwargs is not None:
        return None
    try:
        return [arg.as_const() for arg in call.args], {arg.key: arg.value.as_const() for arg in call.kwargs}
    except nodes.Impossible:
        return None


def _is_set(tree: nodes.Template, name: str) -> bool:
    """The template itself gives this name a meaning somewhere."""
    stored = any(each.name == name and each.ctx != "load" for each in tree.find_all(nodes.Name))
    return stored or any(each.name == name for each in tree.find_all(nodes.Macro))


def _line_of(error: BaseException, file: str) -> int | None:
    """The line of the template that was being rendered."""
    found = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return found[-1] if found else None


def _told(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {text}"


def _restored(file: str, text: str, facts: Facts) -> Template:
    """A template that was sent to another process."""
    made = Template(file, text)
    made.facts = facts
    return made
