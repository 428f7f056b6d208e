"""Which functions workflows may call: found in the source of the project's own modules, and nothing imported for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.authoring.callables import Callables
from penstock.core.errors import BadWorkflow, ConfigurationError
from penstock.core.workflows import read
from penstock.engine.workflows import callables_of

TASKS = """
import os
from os import system
from penstock import flow, task
from . import other
from .other import helper, helper as called
from .deep.more import farther
from .away import *

open("imported", "w").close()

def plain(a, b=1, *, c, d=2): ...
def anything(**kwargs): ...
def positions(a, /, b): ...
async def later(a): ...
def items(n):
    for each in range(n):
        yield each
def makes_items():
    def inner():
        yield 1
    return list(inner())
@task(retries=1)
def tasked(a): ...
@other.changed
def changed(a): ...
class Thing: ...
made = plain
if os.name:
    def inside(a): ...
try:
    import nothing_like_it
except ImportError:
    nothing_like_it = None
_private = plain
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with a package."""
    package = tmp_path / "hall"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package is imported')\n")
    (package / "tasks.py").write_text(TASKS)
    (package / "other.py").write_text("def helper(x): ...\n")
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "more.py").write_text("from ..other import helper as farther\n")
    (package / "broken.py").write_text("def f(:\n")
    (package / "away.py").write_text("")
    (package / "bytes.py").write_bytes(b"\xff\xfe\0")
    (package / "round.py").write_text("from .round import again\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] in ("hall", "real_tasks")]:
        del sys.modules[name]


FOUND: dict[str, str | None] = {
    "hall.tasks:plain": None,
    "hall.tasks:later": None,
    "hall.tasks:tasked": None,
    "hall.tasks:changed": None,
    "hall.tasks:makes_items": None,
    "hall.tasks:inside": None,
    "hall.tasks:made": None,
    "hall.tasks:helper": None,
    "hall.tasks:called": None,
    "hall.tasks:farther": None,
    "hall.tasks:unknown": None,  # perhaps one of `*`: a run will tell
    "hall.tasks:system": "'system' comes from 'os': the module 'os' is not on the list",
    "hall.tasks:os": "'os' is a module",
    "hall.tasks:Thing": "'Thing' is a class",
    "hall.tasks:items": "'items' is a generator",
    "hall.tasks:_private": "is private",
    "hall.other:nothing": "has no function 'nothing'; there are helper",
    "hall.nowhere:f": "there is no module 'hall.nowhere'",
    "hall.tasks.sub:f": "there is no module 'hall.tasks.sub'",
    "hall.broken:f": "cannot be read: invalid syntax (line 1)",
    "hall.bytes:f": "cannot be read",
    "os:system": "the module 'os' is not on the list",
    "hall:f": "the module 'hall' is not on the list of modules that workflows may call (there are hall.*)",
}


@pytest.mark.parametrize("reference", FOUND)
def test_what_is_found_in_the_source(folder: Path, reference: str) -> None:
    mistake = Callables(["hall.*"], str(folder)).look(reference).mistake
    told = FOUND[reference]
    assert mistake is None if told is None else told in (mistake or "")
    assert not (folder / "imported").exists()
    assert "hall" not in sys.modules


def test_a_module_that_imports_from_itself(folder: Path) -> None:
    assert Callables(["hall.*"], str(folder)).look("hall.round:again").mistake is None


def test_a_file_that_changes_is_read_again(folder: Path) -> None:
    callables = Callables(["hall.*"], str(folder))
    assert callables.look("hall.other:later").mistake is not None
    (folder / "hall" / "other.py").write_text("def helper(x): ...\ndef later(): ...\n# more\n")
    assert callables.look("hall.other:later").mistake is None


ARGUMENTS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "all": ("plain", {"a": 1, "b": 2, "c": 3, "d": 4}, []),
    "those it needs": ("plain", {"a": 1, "c": 3}, []),
    "too few": ("plain", {"b": 1}, ["plain needs the argument 'a'", "plain needs the argument 'c'"]),
    "too many": ("plain", {"a": 1, "c": 1, "e": 1}, ["plain takes no argument 'e' (it takes a, b, c, d)"]),
    "anything": ("anything", {"x": 1}, []),
    "by position": ("positions", {"b": 1}, ["positions takes 'a' only by position, which a workflow cannot give"]),
    "a task": ("tasked", {}, ["tasked needs the argument 'a'"]),
    "a decorator that may change it": ("changed", {}, []),
    "from elsewhere": ("helper", {}, ["helper needs the argument 'x'"]),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_must_fit(folder: Path, case: str) -> None:
    function, params, told = ARGUMENTS[case]
    spec = read({"name": "w", "tasks": [{"name": "t", "python_callable": f"hall.tasks:{function}", "params": params}]})
    assert Callables(["hall.*"], str(folder)).mistakes_in(spec) == [("tasks[0].params", each) for each in told]


def test_what_is_loaded_must_be_of_the_project_too(folder: Path) -> None:
    source = "import os.path\nfrom os import system, getcwd as mine\nstar = os.path.join\ndef work(): return 7\n"
    (folder / "real_tasks.py").write_text(source)
    callables = Callables(["real_tasks"], str(folder))
    assert callables.load("real_tasks:work")() == 7
    assert callables.look("real_tasks:star").mistake is None  # its source does not say what it is
    for reference, told in {
        "real_tasks:star": "comes from another module: the module 'posixpath'",
        "real_tasks:system": "comes from another module",
        "real_tasks:nothing": "has no function 'nothing'",
        "real_tasks:_private": "has no function",
        "os:system": "is not on the list",
    }.items():
        with pytest.raises(BadWorkflow) as caught:
            callables.load(reference)
        assert told in caught.value.mistakes[0][1]


def test_the_list_stands_in_the_project(folder: Path) -> None:
    assert callables_of(folder).modules == ()
    file = folder / "pyproject.toml"
    file.write_text('[tool.penstock.workflows]\nmodules = ["hall.tasks"]\n')
    found = callables_of(folder / "hall")
    assert (found.modules, found.folder) == (("hall.tasks",), str(folder))
    for wrong in ('modules = "hall"', "modules = [1]", 'modules = [""]'):
        file.write_text(f"[tool.penstock.workflows]\n{wrong}\n")
        with pytest.raises(ConfigurationError, match=r"workflows\.modules"):
            callables_of(folder)
    file.write_text('[tool.penstock]\nworkflows = "x"\n')
    with pytest.raises(ConfigurationError, match=r"workflows\.modules"):
        callables_of(folder)
