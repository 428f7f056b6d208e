"""DAGs written for Airflow: TaskFlow ones become flows; of the rest it is told what to write."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Literal

from penstock.deploy.porting.airflow_words import CONTEXT, DAG_OPTIONS, DECORATORS, INSTEAD, TASK_OPTIONS
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

_ROOT = "airflow"
_HOMES = {"airflow.sdk", "airflow.decorators", "airflow.sdk.definitions.decorators"}
Kind = Literal["dag", "task"]
_FLOWS = {"dag": "flow", "task": "task"}
_ORDER = "tasks run in the order of their calls: call them so, or submit them with wait_for=[...]"
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1, "weeks": 604_800, "milliseconds": 0.001}


def port_airflow(path: Path) -> Ported:
    """Look through a file of DAGs, and make flows of those that are written as functions.

    Raises:
        BadPort: it cannot be read, or is no Python.
    """
    return ported(read(path), str(path))


def ported(text: str, path: str = "") -> Ported:
    """Look through the text of a file.

    Raises:
        BadPort: it is no Python.
    """
    return looked_through(_Reader(text), text, path)


class _Reader(Reader):
    """Gathers findings and edits.

    Attributes:
        known: names in the file, with what they stand for in Airflow.
        made: functions that are DAGs or tasks.
        defaults: what `default_args` of a DAG gives each of its tasks, as text, under Penstock's names.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.made: dict[str, Kind] = {}
        self.defaults: dict[str, dict[str, str]] = {}
        self._text = text
        self._around: list[str] = []

    def look(self, module: ast.Module) -> None:
        """Imports and declarations first, then everything, then calls that would run when the file is imported."""
        nodes = list(ast.walk(module))
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._import(node)
        assigned = {
            node.targets[0].id: node.value
            for node in nodes
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        }
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._gather(node, assigned)
        self.visit(module)
        for statement in module.body:
            self._guard(statement)

    def _source(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._text, node) or ""

    # -------------------------------------------------------------------------------------------------- imports
    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if _is_theirs(alias.name):
                    self.known[alias.asname or alias.name.partition(".")[0]] = (alias.asname and alias.name) or _ROOT
                    self.find(node, f"import {alias.name}", Verdict.TODO, _instead(alias.name))
            return
        module = node.module or ""
        if node.level or not _is_theirs(module):
            return
        ours: list[str] = []
        theirs: list[str] = []
        for alias in node.names:
            full = f"{module}.{alias.name}"
            self.known[alias.asname or alias.name] = full
            if module in _HOMES and alias.name in _FLOWS and alias.asname is None:
                ours.append(_FLOWS[alias.name])
                self.find(alias, full, Verdict.CHANGED)
            else:
                theirs.append(f"{alias.name} as {alias.asname}" if alias.asname else alias.name)
                self.find(alias, full, Verdict.NONE, _instead(full))
        if ours:
            lines = [f"from penstock import {', '.join(ours)}"]
            lines += [f"from {module} import {', '.join(theirs)}"] if theirs else []
            self.edits.append(over(node, ("\n" + " " * node.col_offset).join(lines)))

    def _kind(self, node: ast.AST) -> tuple[Kind, str] | None:
        """Whether this is `dag` or `task`, and what stands behind it: `branch` of `task.branch`."""
        name = dotted(node)
        if name is None:
            return None
        first, _, rest = name.partition(".")
        home, _, kind = self.known.get(first, "").rpartition(".")
        if home in _HOMES and kind in _FLOWS and first == kind:
            return ("dag" if kind == "dag" else "task"), rest
        return None

    # -------------------------------------------------------------------------------------------------- declarations
    def _gather(self, node: ast.FunctionDef | ast.AsyncFunctionDef, assigned: dict[str, ast.expr]) -> None:
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if (found := self._kind(called)) is None:
                continue
            self.made[node.name] = found[0]
            for keyword in decorator.keywords if isinstance(decorator, ast.Call) else ():
                if keyword.arg == "default_args":
                    given = keyword.value
                    given = assigned.get(given.id, given) if isinstance(given, ast.Name) else given
                    self._take_defaults(given, self.defaults.setdefault(node.name, {}))

    def _take_defaults(self, given: ast.expr, into: dict[str, str]) -> None:
        if not isinstance(given, ast.Dict) or not all(isinstance(key, ast.Constant) for key in given.keys):
            self.find(given, "default_args", Verdict.TODO, "give these options to the tasks themselves")
            return
        for key, value in zip(given.keys, given.values, strict=True):
            name = key.value if isinstance(key, ast.Constant) else None
            if isinstance(name, str):
                self._option(value, name, into, TASK_OPTIONS, f"default_args[{name!r}]")

    def declared(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """See `Reader.declared`."""
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            found = self._kind(called)
            if found is None:
                self.visit(decorator)
                continue
            kind, variant = found
            if variant:
                note = DECORATORS.get(variant, "write it as a task")
                self.find(node, f"@{kind}.{variant} {node.name}", Verdict.TODO, note)
                continue
            self._decorate(decorator, kind, node)
        self._around.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._around.pop()

    def _decorate(self, decorator: ast.expr, kind: Kind, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        taken: dict[str, str] = {}
        if isinstance(decorator, ast.Call):
            names = ("dag_id",) if kind == "dag" else ("task_id",)
            given = [*zip(names, decorator.args, strict=False)]
            given += [(keyword.arg or "**", keyword.value) for keyword in decorator.keywords]
            for name, value in given:
                self._option(value, name, taken, DAG_OPTIONS if kind == "dag" else TASK_OPTIONS, f"@{kind}({name}=)")
        if kind == "task":
            taken = {**self._defaults(), **taken}
            self._parameters(node)
        options = ", ".join(f"{name}={value}" for name, value in taken.items())
        self.edits.append(over(decorator, f"{_FLOWS[kind]}({options})" if options else _FLOWS[kind]))
        self.find(node, f"@{kind} {node.name}", Verdict.CHANGED)

    def _defaults(self) -> dict[str, str]:
        """Those of the DAG around; of a task outside of DAGs, those that all DAGs of the file have."""
        inside = [self.defaults[name] for name in self._around if name in self.defaults]
        dags = [self.defaults.get(name, {}) for name, kind in self.made.items() if kind == "dag"]
        if inside or not dags:
            return inside[-1] if inside else {}
        return {} if any(name in self.made for name in self._around) else self._shared(dags)

    @staticmethod
    def _shared(dags: list[dict[str, str]]) -> dict[str, str]:
        return {name: value for name, value in dags[0].items() if all(each.get(name) == value for each in dags)}

    def _option(self, value: ast.expr, name: str, into: dict[str, str], words: dict[str, Any], what: str) -> None:
        """Put an option under Penstock's name, or tell what to do instead."""
        word = words.get(name, "there is nothing like it")
        if word is None or is_nothing(value):
            return
        if not word.startswith("="):
            self.find(value, what, Verdict.TODO, word)
            return
        target = word[1:]
        into[target] = _in_seconds(value, self._source(value)) if target.endswith("_seconds") else self._source(value)

    def _parameters(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for parameter in every:
            if parameter.arg in CONTEXT:
                note = "Airflow fills it in: take it as a parameter, or ask penstock.runtime"
                self.find(parameter, f"{node.name}({parameter.arg})", Verdict.TODO, note)
        if node.args.kwarg is not None and any(
            isinstance(each, ast.Name) and each.id == node.args.kwarg.arg for each in ast.walk(node)
        ):
            note = "Airflow's context is not there: take what is needed as parameters, or ask penstock.runtime"
            self.find(node.args.kwarg, f"{node.name}(**{node.args.kwarg.arg})", Verdict.TODO, note)

    # -------------------------------------------------------------------------------------------------- bodies
    def visit_Expr(self, node: ast.Expr) -> None:
        """`a >> b`, which gives an order and nothing else."""
        if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.RShift | ast.LShift):
            self.find(node, _short(self._source(node)), Verdict.TODO, _ORDER)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Operators, `.expand()`, `.partial()` and `.override()`, and what else is Airflow's."""
        name = dotted(node.func)
        if name is not None:
            full = self._full(name)
            if full is not None and self._kind(node.func) is None:
                self.find(node, name, Verdict.TODO, _instead(full))
        if isinstance(node.func, ast.Attribute):
            self._method(node, node.func)
        self.generic_visit(node)

    def _full(self, name: str) -> str | None:
        first, _, rest = name.partition(".")
        found = self.known.get(first)
        return None if found is None else f"{found}.{rest}" if rest else found

    def _method(self, node: ast.Call, function: ast.Attribute) -> None:
        task = dotted(function.value)
        if task is None or self.made.get(task) != "task":
            if function.attr == "expand" and isinstance(function.value, ast.Call):
                self.find(node, _short(self._source(node.func)), Verdict.TODO, "TASK.map(each, other=unmapped(value))")
            return
        begin, end = _end(function.value), _end(function)
        if function.attr == "expand" and not node.args:
            self.edits.append(Edit(begin, end, ".map"))
            self.find(node, f"{task}.expand", Verdict.CHANGED, "its results are futures: tasks take them as they are")
        elif function.attr == "override":
            self.edits.append(Edit(begin, end, ".with_options"))
            taken: dict[str, str] = {}
            for keyword in node.keywords:
                self._option(keyword.value, keyword.arg or "**", taken, TASK_OPTIONS, f".override({keyword.arg}=)")
            options = ", ".join(f"{name}={value}" for name, value in taken.items())
            self.edits.append(Edit(end, _end(node), f"({options})"))
            self.find(node, f"{task}.override", Verdict.CHANGED)
        elif function.attr in ("expand_kwargs", "partial"):
            self.find(node, f"{task}.{function.attr}", Verdict.TODO, "TASK.map(each, other=unmapped(value))")

    def visit_Constant(self, node: ast.Constant) -> None:
        """Templates, which Airflow fills in."""
        if isinstance(node.value, str) and "{{" in node.value and "}}" in node.value and len(node.value) < 10_000:
            note = "nothing is filled into texts: pass the value as a parameter, or ask penstock.runtime"
            self.find(node, _short(node.value.strip()), Verdict.TODO, note)

    def _guard(self, statement: ast.stmt) -> None:
        """A DAG is declared by being called; a flow that is called runs."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return
        value = statement.value if isinstance(statement, ast.Expr | ast.Assign) else None
        if isinstance(value, ast.Call) and self._is_dag(value):
            kept = "" if isinstance(statement, ast.Expr) else "; what uses its result belongs there too"
            verdict = Verdict.TODO if kept else Verdict.CHANGED
            self.edits.append(over(statement, f'if __name__ == "__main__":\n    {self._source(statement)}'))
            self.find(statement, self._source(value), verdict, f"it runs only when the file is started{kept}")
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Call) and self._is_dag(node):
                note = 'it would run when the file is imported: put it below if __name__ == "__main__"'
                self.find(node, _short(self._source(node)), Verdict.TODO, note)

    def _is_dag(self, node: ast.Call) -> bool:
        return self.made.get(dotted(node.func) or "") == "dag"


def _is_theirs(module: str) -> bool:
    return module == _ROOT or module.startswith(f"{_ROOT}.")


def _instead(name: str) -> str:
    """What to write instead of something of Airflow."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        for found in (".".join(parts[:length]), parts[length - 1]):
            if found in INSTEAD:
                return INSTEAD[found]
    return "write it as a task"


def _in_seconds(value: ast.expr, source: str) -> str:
    """`timedelta(minutes=5)` is `300`; what is no such text is asked when it runs."""
    if isinstance(value, ast.Constant):
        return source
    if isinstance(value, ast.Call) and (dotted(value.func) or "").rpartition(".")[2] in ("timedelta", "duration"):
        found = 0.0
        for keyword in value.keywords:
            number = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg not in _SECONDS or not isinstance(number, int | float):
                break
            found += number * _SECONDS[keyword.arg]
        else:
            if not value.args:
                return f"{found:g}" if found < 1e6 else str(int(found))
    return f"({source}).total_seconds()"


def _end(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
