"""Templates: what an event is called, what it is about and what is known of it, made of a request.

A static template is a mapping whose texts hold `{names}` of facts: nothing is evaluated. A dynamic one is a text in
Jinja that becomes a JSON object.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from penstock.control.webhooks.bodies import json_of
from penstock.control.webhooks.filters import FILTERS
from penstock.control.webhooks.plain import MOST_CHARACTERS, Exceeded, Forbidden, metered
from penstock.control.webhooks.requests import Refused, Rendered
from penstock.control.webhooks.sandbox import bounded
from penstock.control.webhooks.sandbox import environment as sandboxed
from penstock.core.automation_checks import event_mistake
from penstock.core.errors import PenstockError
from penstock.core.extras import LateExtra
from penstock.core.templates import FactMissing, fill, paths_in

if TYPE_CHECKING:
    import jinja2
    from jinja2 import nodes
else:
    jinja2 = LateExtra("jinja2", "server")
    nodes = LateExtra("jinja2.nodes", "server")

FACTS = ("method", "path", "headers", "query", "body", "kind", "cloudevent", "hook", "delivery")
"""What a template may use."""
FIELDS = ("event", "resource", "payload")
_FILE = "template"
MOST_TEXT = 65_536
_ALLOWED = frozenset(
    {
        *("Template", "Output", "TemplateData", "For", "If", "Assign", "Name", "Const", "List", "Dict", "Tuple"),
        *("Pair", "Getattr", "Getitem", "Slice", "Call", "Keyword", "Filter", "Test", "CondExpr", "Compare"),
        *("Operand", "Concat", "And", "Or", "Not", "Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Neg", "Pos"),
    }
)
_SAID = {
    "Include": "include",
    "Import": "import",
    "FromImport": "import",
    "Extends": "extends",
    "Block": "block",
    "Macro": "macro",
    "CallBlock": "call",
    "FilterBlock": "filter",
    "AssignBlock": "set ... endset",
    "With": "with",
}


class Dynamic:
    """A template in Jinja.

    Args:
        text: what is in it.

    Attributes:
        mistakes: what is wrong with it, each with its line; with mistakes it cannot be rendered.
    """

    def __init__(self, text: str) -> None:
        self.mistakes: list[str] = []
        self._template: Any = None
        if len(text) > MOST_TEXT:
            self.mistakes.append(f"it has {len(text):,} characters, and {MOST_TEXT:,} at most are allowed")
            return
        environment = sandboxed()
        try:
            tree = environment.parse(text, filename=_FILE)
            self._check(tree, set(environment.tests))
            if self.mistakes:
                return
            code = environment.compile(bounded(tree), filename=_FILE)
        except jinja2.TemplateSyntaxError as error:
            self.mistakes.append(f"line {error.lineno}: {error.message}")
            return
        except (RecursionError, MemoryError, ValueError, SyntaxError, OverflowError) as error:
            self.mistakes.append(f"it is nested too deep, or cannot be compiled ({type(error).__name__})")
            return
        except (Exceeded, Forbidden) as error:  # an expression of constants is computed now
            self.mistakes.append(str(error))
            return
        self._template = environment.template_class.from_code(environment, code, environment.make_globals(None))

    def _check(self, tree: nodes.Template, tests: set[str]) -> None:
        known = {*FACTS, "range", "loop", *_names_set(tree)}
        for node in tree.find_all(nodes.Node):
            kind = type(node).__name__
            if kind not in _ALLOWED:
                self._mistake(node, f"{_SAID.get(kind, kind)} is not possible here")
            elif isinstance(node, nodes.For) and node.recursive:
                self._mistake(node, "a loop cannot be recursive here")
            elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
                self._mistake(node, f"there is no filter {node.name!r}: there are {', '.join(FILTERS)}")
            elif isinstance(node, nodes.Test) and node.name not in tests:
                self._mistake(node, f"there is no test {node.name!r}: there are {', '.join(sorted(tests))}")
            elif isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in known:
                self._mistake(node, f"there is no {node.name!r}: there are {', '.join(FACTS)}")
            elif isinstance(node, nodes.Call) and (node.dyn_args is not None or node.dyn_kwargs is not None):
                self._mistake(node, "a call with * is not possible here")

    def _mistake(self, node: nodes.Node, what: str) -> None:
        told = f"line {node.lineno}: {what}"
        if told not in self.mistakes:
            self.mistakes.append(told)

    def render(self, facts: Mapping[str, Any]) -> Rendered:
        """What a request says has happened.

        Raises:
            Refused: it cannot be rendered, or is no event; the line is told.
        """
        if self._template is None:
            raise _failed(f"The template cannot be used: {self.mistakes[0]}.")
        try:
            text = metered(lambda: self._written(facts))
        except Refused:
            raise
        except Exception as error:
            line = _line_of(error)
            raise _failed(
                f"The template cannot be rendered{f' (line {line})' if line else ''}: {_told(error)}."
            ) from None
        return event_of(_document(text))

    def _written(self, facts: Mapping[str, Any]) -> str:
        parts, room = [], MOST_CHARACTERS
        for part in self._template.generate(facts):
            parts.append(part)
            room -= len(part)
            if room < 0:
                raise Exceeded(f"it writes more than {MOST_CHARACTERS:,} characters")
        return "".join(parts)


class Static:
    """A template without code, such as `{"event": "github.{headers.x-github-event}", "resource": "{body.ref}"}`.

    Args:
        mapping: event, resource and payload.
    """

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self._mapping = mapping

    @cached_property
    def mistakes(self) -> list[str]:
        """What is wrong with it. It is looked for when somebody asks: the mapping of a webhook has none."""
        found: list[str] = []
        if not isinstance(self._mapping.get("event"), str):
            found.append("event is missing: a text, such as orders.paid")
        for name in self._mapping:
            if name not in FIELDS:
                found.append(f"{name!r} is none of {', '.join(FIELDS)}")
        try:
            for path in paths_in(self._mapping):
                if path.split(".")[0] not in FACTS:
                    found.append(f"there is no {{{path}}}: it begins with one of {', '.join(FACTS)}")
        except ValueError as error:
            found.append(str(error))
        return found

    def render(self, facts: Mapping[str, Any]) -> Rendered:
        """See `Dynamic.render`."""
        try:
            return event_of(fill(self._mapping, facts))
        except FactMissing as error:
            raise _failed(f"The template cannot be filled. {error.message}") from None


DEFAULT: Mapping[str, Any] = {"event": "webhook.{hook}", "resource": "{hook}", "payload": {"body": "{body}"}}
"""What a webhook without a template makes of a request."""


def template_of(text: str | None, mapping: Mapping[str, Any] | None) -> Dynamic | Static:
    """The template of a webhook."""
    if text is not None:
        return _dynamic(text)
    return Static(DEFAULT if mapping is None else mapping)


@lru_cache(maxsize=256)
def _dynamic(text: str) -> Dynamic:
    """Compiled once for each text."""
    return Dynamic(text)


def event_of(document: Any) -> Rendered:
    """An event as a template has it.

    Raises:
        Refused: it is none.
    """
    if not isinstance(document, Mapping):
        raise _failed(f"The template makes {_kind(document)}, and an event is a JSON object.")
    unknown = [name for name in document if name not in FIELDS]
    if unknown:
        raise _failed(f"The template makes {unknown[0]!r}, which is none of {', '.join(FIELDS)}.")
    event, resource, payload = (document.get(name) for name in FIELDS)
    if not isinstance(event, str):
        raise _failed("The template makes no event: its name is a text, such as orders.paid.")
    told = event_mistake(event)
    if told:
        raise _failed(f"The name of the event {told}.")
    if resource is not None and not isinstance(resource, (str, int)):
        raise _failed(f"The template makes {_kind(resource)} of the resource, which is a text.")
    if payload is not None and not isinstance(payload, Mapping):
        raise _failed(f"The template makes {_kind(payload)} of the payload, which is an object.")
    return Rendered(event, None if resource is None else str(resource), dict(payload or {}))


def _kind(value: Any) -> str:
    kinds = {"NoneType": "nothing", "str": "a text", "list": "a list", "dict": "an object", "bool": "a boolean"}
    return kinds.get(type(value).__name__, "a number")


def _document(text: str) -> Any:
    try:
        return json_of(text.encode("utf-8", "surrogatepass"))
    except Refused as error:
        found = re.search(r"line (\d+)", error.message)
        lines = text.splitlines() or [""]
        line = lines[min(int(found[1]), len(lines)) - 1].strip() if found else lines[0]
        raise _failed(
            f"{error.message.replace('The body is', 'What the template makes is')} It reads: {json.dumps(line[:120])}. "
            'A text is put between quotes: "{{ body.name }}".'
        ) from None


def _failed(message: str) -> Refused:
    return Refused("template", message, failed=True)


def _line_of(error: BaseException) -> int | None:
    found = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    return found[-1] if found else None


def _told(error: Exception) -> str:
    if isinstance(error, (Exceeded, Forbidden, PenstockError, jinja2.TemplateError)):
        return str(error).strip().rstrip(".") or type(error).__name__
    return f"{type(error).__name__}: {str(error)[:200]}"


def _names_set(tree: nodes.Template) -> set[str]:
    return {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
