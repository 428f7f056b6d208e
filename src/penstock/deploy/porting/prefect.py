"""Flows written for Prefect 3: what of them runs under Penstock, and the imports changed."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.authoring.options import NOT_YET, not_there
from penstock.core.errors import NotThereYet, PenstockError
from penstock.deploy.porting.findings import (
    Edit,
    Ported,
    Reader,
    Verdict,
    dotted,
    is_nothing,
    looked_through,
    over,
    read,
)

_ROOT = "prefect"
_OURS = "penstock"
_INSTEAD = {
    "prefect.assets": "datasets: penstock.data.Dataset records who reads and writes what",
    "prefect.blocks": "connections: penstock.connections.Connection.load(NAME), made by penstock connection create",
    "prefect.client": "penstock.client speaks to a Penstock server; the journal of this project needs no client",
    "prefect.docker": "the image is built by what you build images with; penstock worker start runs in it",
    "prefect.filesystems": "results are kept in the journal, or beside it where they are large",
    "prefect.server": "nothing of Prefect's server is there; see penstock server start",
    "prefect.settings": "settings are PENSTOCK_* variables or [tool.penstock] in pyproject.toml",
    "prefect.variables": "a parameter of the flow, a setting of a profile, or a variable of the environment",
    "prefect.workers": "penstock worker start executes the runs of a pool",
    "prefect_dask": "penstock.task_runners.DaskRunner(address)",
    "prefect_ray": "there is no runner for Ray; see penstock.task_runners",
    "prefect_shell": "subprocess.run in a task",
    "prefect_sqlalchemy": "penstock.connections, and the tables of penstock.data",
    "prefect_aws": "a connection, and addresses such as s3://bucket/prefix for sources and sinks",
    "prefect_gcp": "a connection, and addresses such as gs://bucket/prefix for sources and sinks",
    "prefect_azure": "a connection, and addresses such as az://container/prefix for sources and sinks",
    "prefect_slack": "alerts: penstock alerts, and [tool.penstock.alerts]",
    "prefect_email": "alerts: penstock alerts, and [tool.penstock.alerts]",
    "prefect_dbt": "SQL models: penstock.stores.elt has dbt's conventions",
}
_DIFFERS = {
    "serve": "its name is its own, not flow/name, and what was missed follows a policy",
    "deploy": "pools are Penstock's: penstock worker start --pool POOL executes the runs",
    "run_deployment": "a deployment's name is its own, not flow/name",
    "suspend_flow_run": "pausing and suspending are one thing here",
    "rate_limit": "it takes its rate where it is called, too",
}
_GENERATOR = "a generator cannot be recorded and replayed item by item: return a list"


def port_prefect(path: Path) -> Ported:
    """Look through a file of flows, and change what it imports.

    Raises:
        BadPort: it cannot be read, or is no Python.
    """
    return ported(read(path), str(path))


def ported(text: str, path: str = "") -> Ported:
    """Look through the text of a file.

    Raises:
        BadPort: it is no Python.
    """
    return looked_through(_Reader(), text, path)


class _Reader(Reader):
    """Gathers findings and edits.

    Attributes:
        known: names in the file, with what they stand for in Prefect: `task`, `prefect.runtime.flow_run`.
        made: names of flows and tasks that the file declares: what each is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._imports: list[ast.alias] = []
        self._left: set[str] = set()
        self.known: dict[str, str] = {}
        self.made: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        """`import prefect`, `import prefect.runtime as runtime`."""
        for alias in node.names:
            if not _is_theirs(alias.name):
                continue
            self.known[alias.asname or _ROOT] = alias.name if alias.asname else _ROOT
            self._imports.append(alias)

    def look(self, module: ast.Module) -> None:
        """Everything, and then `import prefect`: it stays beside the new one where something of it is left."""
        self.visit(module)
        for alias in self._imports:
            left = (alias.asname or _ROOT) in self._left
            verdict, note = _equal(alias.name)
            if left and alias.asname is not None and verdict is Verdict.CHANGED:
                verdict, note = Verdict.TODO, f"not all of {alias.asname} is there: import it by its parts"
            self.find(alias, f"import {alias.name}", verdict, note)
            if verdict is Verdict.CHANGED:
                text = f"{_OURS}, {_ROOT}" if left and alias.name == _ROOT else _OURS
                begin = (alias.lineno, alias.col_offset)
                self.edits.append(Edit(begin, (begin[0], begin[1] + len(_ROOT)), text))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from prefect.tasks import exponential_backoff`."""
        module = node.module or ""
        if node.level or not _is_theirs(module):
            return
        verdicts = []
        for alias in node.names:
            full = f"{module}.{alias.name}"
            self.known[alias.asname or alias.name] = full
            if alias.name == "*":
                verdict, note = Verdict.TODO, "name what is needed of it"
            else:
                verdict, note = _equal(full)
            verdicts.append(verdict)
            self.find(alias, full, verdict, note)
        if verdicts and all(verdict is Verdict.CHANGED for verdict in verdicts):
            self._rename(node.lineno, node.col_offset + len("from "), len(_ROOT))
        elif any(verdict is Verdict.CHANGED for verdict in verdicts):
            self._part(node, module, verdicts)

    def _part(self, node: ast.ImportFrom, module: str, verdicts: list[Verdict]) -> None:
        """Take what there is from here, and leave the rest as it is."""

        def line(source: str, wanted: bool) -> str:
            chosen = [
                f"{alias.name} as {alias.asname}" if alias.asname else alias.name
                for alias, verdict in zip(node.names, verdicts, strict=True)
                if (verdict is Verdict.CHANGED) == wanted
            ]
            return f"from {source} import {', '.join(chosen)}"

        space = "\n" + " " * node.col_offset
        space = "\n" + " " * node.col_offset
        self.edits.append(over(node, f"{line(_ours(module), True)}{space}{line(module, False)}"))

    def _rename(self, line: int, column: int, length: int) -> None:
        self.edits.append(Edit((line, column), (line, column + length), _OURS))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`prefect.runtime.flow_run.id`, where `import prefect` is in the file; methods of what is declared."""
        name = dotted(node)
        if name is None:
            self.generic_visit(node)
            return
        first, _, rest = name.partition(".")
        if self.known.get(first) == _ROOT:
            verdict, note = _equal(f"{_ROOT}.{rest}")
            if verdict is not Verdict.CHANGED or note:
                self.find(node, name, verdict, note)
            base: ast.AST = node
            while isinstance(base, ast.Attribute):
                base = base.value
            if verdict is not Verdict.CHANGED:
                self._left.add(first)
            elif isinstance(base, ast.Name) and first == _ROOT:
                self._rename(base.lineno, base.col_offset, len(_ROOT))
        elif first in self.made:
            self._method(node, self.made[first], rest.partition(".")[0], name)

    def _method(self, node: ast.AST, kind: str, method: str, name: str) -> None:
        error = not_there(kind, method)
        if isinstance(error, NotThereYet) and not (kind == "flow" and method == "serve"):
            self.find(node, name, Verdict.NONE, _told(error))
        elif method in _DIFFERS:
            self.find(node, name, Verdict.SAME, _DIFFERS[method])

    def visit_Call(self, node: ast.Call) -> None:
        """Options of `@flow`, `@task` and `.with_options`."""
        kind = self._kind(node.func)
        if kind is not None:
            for keyword in node.keywords:
                if keyword.arg in NOT_YET and not is_nothing(keyword.value):
                    note = f"there is no {NOT_YET[keyword.arg]}: leave it out"
                    self.find(keyword, f"{kind}({keyword.arg}=)", Verdict.TODO, note)
        self.generic_visit(node)

    def _kind(self, function: ast.AST) -> str | None:
        """`flow` or `task`, where that is what is called or copied."""
        name = dotted(function)
        if name is None:
            return None
        first, _, rest = name.partition(".")
        if first in self.made:
            return self.made[first] if rest == "with_options" else None
        full = f"{self.known.get(first, first)}.{rest}".rstrip(".")
        return {f"{_ROOT}.flow": "flow", f"{_ROOT}.flows.flow": "flow", f"{_ROOT}.task": "task",
                f"{_ROOT}.tasks.task": "task"}.get(full)  # fmt: skip

    def declared(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """See `Reader.declared`."""
        for decorator in node.decorator_list:
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            if (kind := self._kind(function)) is not None:
                self.made[node.name] = kind
                generator = _yields(node)
                note = _GENERATOR if generator else ""
                self.find(node, f"@{kind} {node.name}", Verdict.TODO if generator else Verdict.SAME, note)
        self.generic_visit(node)


def _yields(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return False


def _is_theirs(module: str) -> bool:
    return module == _ROOT or module.startswith((f"{_ROOT}.", f"{_ROOT}_"))


def _ours(name: str) -> str:
    return _OURS + name.removeprefix(_ROOT)


def _equal(name: str) -> tuple[Verdict, str]:
    """Whether Penstock has it under the same name: it is asked, so that no list can be out of date."""
    if not name.startswith(f"{_ROOT}_"):
        found, missing = _looked_up(_ours(name))
        if found is not None:
            return Verdict.CHANGED, _DIFFERS.get(name.rpartition(".")[2], "")
        if isinstance(missing, NotThereYet):
            return Verdict.NONE, _told(missing)
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if (instead := _INSTEAD.get(".".join(parts[:length]))) is not None:
            return Verdict.NONE, instead
    return Verdict.NONE, "Penstock has nothing of this name"


def _looked_up(name: str) -> tuple[Any, Exception | None]:
    """A module, or what is in one; what stands behind an instance or a function is not looked into."""
    parts = name.split(".")
    found: Any = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], 1):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            try:
                found = importlib.import_module(".".join(parts[: place + 1]))
            except ImportError:
                return None, error
        if not isinstance(found, ModuleType) and not inspect.isclass(found):
            return True, None
    return found, None


def _told(error: PenstockError) -> str:
    return f"{error.message} {error.hint[0].upper()}{error.hint[1:]}." if error.hint else error.message
