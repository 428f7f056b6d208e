"""Jinja for templates of people who may not run code here: plain data, a few filters, and limits on everything.

Jinja's own sandbox keeps Python's insides away from a template. Here, besides, there is no attribute of a Python
object at all (a dot looks into data), nothing to call but a few methods of texts and objects, and no filter but those
of `filters`. And no template takes much time or room: what it does is counted, and what it makes is measured before it
is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from penstock.control.webhooks.filters import FILTERS, OWN, TESTS, computed, spread
from penstock.control.webhooks.plain import (
    NOTHING,
    Forbidden,
    Method,
    Raw,
    json_text,
    looked_up,
    measured,
    number,
    step,
    there,
)
from penstock.core.extras import LateExtra

if TYPE_CHECKING:
    import jinja2
    from jinja2 import nodes, sandbox, visitor
else:
    jinja2 = LateExtra("jinja2", "server")
    nodes = LateExtra("jinja2.nodes", "server")
    sandbox = LateExtra("jinja2.sandbox", "server")
    visitor = LateExtra("jinja2.visitor", "server")

_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_OF_JINJA = ("_loop_vars", "_block_vars")


def environment() -> Any:
    """An environment of which nothing leads out."""

    class Environment(sandbox.ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
        intercepted_unops = frozenset({"+", "-"})

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            step()
            found = looked_up(obj, argument)
            return self.undefined(obj=obj, name=argument) if found is NOTHING else found

        def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
            step()
            given = {name: value for name, value in kwargs.items() if name not in _OF_JINJA}
            return _called(__obj, args, given)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            step()
            return computed(operator, left, right)

        def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
            return -number(arg, operator) if operator == "-" else +number(arg, operator)

    # What needs the context is not computed while a template is compiled, when nothing is counted.
    finalize = jinja2.pass_context(lambda context, value: _finalized(value))
    made = Environment(undefined=jinja2.StrictUndefined, finalize=finalize, autoescape=False, optimized=False)
    made.filters = {name: _stepping(function) for name, function in {**FILTERS, **OWN}.items()}
    made.tests = {name: test for name, test in made.tests.items() if name in TESTS}
    made.globals = {"range": Method(spread)}
    return made


def _called(method: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    if not isinstance(there(method), Method):
        raise Forbidden("this cannot be called")
    for each in (*args, *given.values()):
        measured(each)
    found: Any = method.call(*args, **given)
    return measured(list(found) if type(found) in _VIEWS else found)


def _finalized(value: Any) -> str:
    """What `{{ }}` puts in: the inside of a JSON text for a text, and JSON for everything else."""
    step()
    if isinstance(value, Raw):
        return value
    encoded = json_text(value)
    return encoded[1:-1] if isinstance(value, str) else encoded


def _stepping(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def filtered(value: Any, *args: Any, **kwargs: Any) -> Any:
        step()
        for each in (*args, *kwargs.values()):
            measured(each)
        return function(value, *args, **kwargs)

    return filtered


def bounded(tree: Any) -> Any:
    """The same template, in which loops are counted, and texts and lists measured where they are made."""

    class Bounded(visitor.NodeTransformer):
        def visit_For(self, node: Any) -> Any:
            made: Any = self.generic_visit(node)
            made.iter = _filter("_each", made.iter)
            return made

        def visit_Concat(self, node: Any) -> Any:
            made: Any = self.generic_visit(node)
            return _filter("_concatenated", nodes.List(made.nodes, lineno=node.lineno))

        def visit_List(self, node: Any) -> Any:
            return _filter("_measured", self.generic_visit(node))

        def visit_Dict(self, node: Any) -> Any:
            return _filter("_measured", self.generic_visit(node))

        def visit_Tuple(self, node: Any) -> Any:
            made = self.generic_visit(node)
            return made if node.ctx != "load" else _filter("_measured", made)

    made: Any = Bounded().visit(tree)
    made.set_environment(tree.environment)
    return made


def _filter(name: str, node: Any) -> Any:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
