"""The functions that workflows may call: those of the modules that a project has put on its list.

A workflow that is made through an API names functions, and code is not to be executed because somebody names it. So
the list is the project's, and what a name stands for is looked up in the module's source: nothing is imported before
a run does.
"""

from __future__ import annotations

import ast
import functools
import importlib.machinery
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from penstock.authoring.loading import load_module
from penstock.core.errors import BadWorkflow, FlowNotFound
from penstock.core.origins import module_of
from penstock.core.workflows import WorkflowSpec

_FARTHEST = 5
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Found(NamedTuple):
    """What a module's source says of a name.

    Attributes:
        mistake: why it cannot be called by a workflow.
        function: its definition, where it is one.
    """

    mistake: str | None = None
    function: Function | None = None


class Callables:
    """The list of a project.

    Args:
        modules: names of modules; `shop.*` stands for all below `shop`.
        folder: where they are, unless they are installed.
    """

    def __init__(self, modules: Sequence[str], folder: str) -> None:
        self.modules = tuple(modules)
        self.folder = folder

    def allows(self, module: str) -> bool:
        """Whether a module is on the list."""
        return any(fnmatchcase(module, pattern) for pattern in self.modules)

    def mistakes_in(self, spec: WorkflowSpec) -> list[tuple[str, str]]:
        """What is wrong with what a workflow calls, each mistake with its place. Nothing is imported for it."""
        mistakes = []
        for number, task in enumerate(spec.tasks):
            found = self.look(task.python_callable)
            if found.mistake is not None:
                mistakes.append((f"tasks[{number}].python_callable", found.mistake))
            elif found.function is not None and _keeps_signature(found.function):
                mistakes += [(f"tasks[{number}].params", told) for told in _mismatches(found.function, task.params)]
        return mistakes

    def check(self, spec: WorkflowSpec) -> None:
        """See that all a workflow calls is there, and allowed.

        Raises:
            BadWorkflow: it lists every mistake.
        """
        if mistakes := self.mistakes_in(spec):
            raise BadWorkflow(spec.name, mistakes)

    def look(self, reference: str, farther: int = _FARTHEST) -> Found:
        """What `module:function` stands for, by the module's source."""
        module, _, name = reference.partition(":")
        if not self.allows(module):
            return Found(self._refusal(module))
        file = source_of(module, self.folder)
        if file is None:
            return Found(f"there is no module {module!r}")
        names = _names_in(file, os.stat(file).st_mtime_ns)
        if isinstance(names, str):
            return Found(f"the module {module!r} cannot be read: {names}")
        if name.startswith("_"):
            return Found(f"{name!r} is private to its module")
        if name not in names:
            functions = [each for each, node in names.items() if isinstance(node, Function) and each[0] != "_"]
            told = f"there are {', '.join(functions[:10])}" if functions else "there is no function in it"
            return Found(None if "*" in names else f"the module {module!r} has no function {name!r}; {told}")
        return self._found(module, name, names[name], file, farther)

    def _found(self, module: str, name: str, node: ast.AST, file: str, farther: int) -> Found:
        if isinstance(node, ast.ClassDef):
            return Found(f"{name!r} is a class; name a function")
        if isinstance(node, ast.ImportFrom) and farther:
            package = module if os.path.basename(file) == "__init__.py" else module.rpartition(".")[0]
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            real = next((each.name for each in node.names if (each.asname or each.name) == name), name)
            found = self.look(f"{origin}:{real}", farther - 1)
            return found if found.mistake is None else Found(f"{name!r} comes from {origin!r}: {found.mistake}")
        if isinstance(node, ast.Import):
            return Found(f"{name!r} is a module; name a function")
        if isinstance(node, Function) and _yields(node):
            return Found(f"{name!r} is a generator, whose items could not be recorded; return a list")
        return Found(None, node if isinstance(node, Function) else None)

    def _refusal(self, module: str) -> str:
        add = f'modules = ["{module}"] below [tool.penstock.workflows] in pyproject.toml allows it'
        known = f"there are {', '.join(self.modules)}" if self.modules else "nothing is on it"
        return f"the module {module!r} is not on the list of modules that workflows may call ({known}); {add}"

    def load(self, reference: str) -> Callable[..., Any]:
        """The function itself, in a process that is to call it; its module is imported.

        Raises:
            BadWorkflow: it is not allowed or not there.
        """
        module, _, name = reference.partition(":")
        if not self.allows(module):
            raise BadWorkflow("", [(reference, self._refusal(module))])
        try:
            found = getattr(load_module(module), name, None)
        except FlowNotFound as error:
            raise BadWorkflow("", [(reference, error.message)]) from error
        if name.startswith("_") or not callable(found) or isinstance(found, type):
            raise BadWorkflow("", [(reference, f"the module {module!r} has no function {name!r}")])
        origin = module_of(getattr(found, "fn", found))
        if not self.allows(origin):
            raise BadWorkflow("", [(reference, f"it comes from another module: {self._refusal(origin)}")])
        function: Callable[..., Any] = found
        return function


def source_of(module: str, folder: str) -> str | None:
    """The source file of a module, found as an import would find it, without importing anything."""
    path: Sequence[str] = [folder, *(each or os.curdir for each in sys.path)]
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = importlib.machinery.PathFinder.find_spec(name, list(path))
        if spec is None:
            return None
        if name == module:
            file = spec.origin
            return file if file is not None and file.endswith(".py") and os.path.isfile(file) else None
        if spec.submodule_search_locations is None:
            return None
        path = list(spec.submodule_search_locations)
    return None


@functools.lru_cache(maxsize=256)
def _names_in(file: str, changed: int) -> dict[str, ast.AST] | str:
    """What a file defines at its top, by name (`*` stands for what cannot be told), or why it cannot be read."""
    try:
        with open(file, "rb") as source:
            tree = ast.parse(source.read(), file)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        return f"{getattr(error, 'msg', None) or getattr(error, 'strerror', None) or error}{line}"
    return {name: node for node in _statements(tree.body) for name in _defined_by(node)}


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try, ast.With)):
            inner = [*node.body, *getattr(node, "orelse", ()), *getattr(node, "finalbody", ())]
            for handler in getattr(node, "handlers", ()):
                inner += handler.body
            yield from _statements(inner)


def _defined_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (each.asname or each.name.split(".")[0] for each in node.names)
    elif isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))


def _yields(function: Function) -> bool:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
    return False


def _keeps_signature(function: Function) -> bool:
    """Whether it is called as it is written: any decorator but ours may change that."""
    for each in function.decorator_list:
        node = each.func if isinstance(each, ast.Call) else each
        if (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) not in ("task", "flow"):
            return False
    return True


def _mismatches(function: Function, params: dict[str, Any]) -> Iterator[str]:
    """Where keyword arguments do not fit a function."""
    given = function.args
    plain = [each.arg for each in given.args]
    only = [each.arg for each in given.kwonlyargs]
    by_position = [each.arg for each in given.posonlyargs]
    needed = {each for each, default in zip(only, given.kw_defaults, strict=True) if default is None}
    several = [*by_position, *plain]
    needed |= set(several[: len(several) - len(given.defaults)])
    if given.kwarg is None:
        for name in params:
            if name not in plain and name not in only:
                takes = ", ".join([*plain, *only]) or "nothing"
                yield f"{function.name} takes no argument {name!r} (it takes {takes})"
    for name in (*several, *only):
        if name in needed and name in by_position:
            yield f"{function.name} takes {name!r} only by position, which a workflow cannot give"
        elif name in needed and name not in params:
            yield f"{function.name} needs the argument {name!r}"
