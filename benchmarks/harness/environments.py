"""Virtual environments, one for each peer, so that no peer's dependencies disturb another's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.contenders import BENCHMARKS, ROOT, Environment

FOLDER = BENCHMARKS / ".envs"
PROJECT = "penstock"


class NotInstalled(Exception):
    """An environment could not be made; the message is one line that says why."""


def python_of(environment: Environment) -> Path:
    """Return the interpreter of an environment."""
    return FOLDER / environment.name / "bin" / "python"


def make(environment: Environment) -> None:
    """Make an environment, or keep the one that is there if it was made for the same packages and Python.

    Raises:
        NotInstalled: A command failed.
    """
    folder = FOLDER / environment.name
    stamp = folder / "made-for.json"
    wanted = json.dumps([sys.version, environment.requires])
    if stamp.exists() and stamp.read_text() == wanted and not environment.from_checkout:
        return
    FOLDER.mkdir(exist_ok=True)
    requires = [requirement.format(root=ROOT) for requirement in environment.requires]
    uv = _uv()
    fresh = not (stamp.exists() and stamp.read_text() == wanted)
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)] if uv else _venv(folder))
    if uv:
        again = ["--reinstall-package", PROJECT] if environment.from_checkout else []
        install = [
            *uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            str(folder / "bin/python"),
        ]
        _run([*install, *again, *requires])
    else:
        again = ["--force-reinstall", "--no-deps"] if environment.from_checkout and not fresh else []
        _run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *again, *requires])
    stamp.write_text(wanted)


def versions(environment: Environment) -> dict[str, str]:
    """Return the versions that an environment reports, as installed."""
    names = "{name: version(name) for name in sys.argv[1:]}"
    code = f"import json, sys; from importlib.metadata import version; print(json.dumps({names}))"
    command = [str(python_of(environment)), "-c", code, *environment.reports]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(answer.stdout)
    return found


def _uv() -> list[str]:
    found = shutil.which("uv")
    if found:
        return [found]
    as_module = [sys.executable, "-m", "uv"]
    works = subprocess.run([*as_module, "--version"], check=False, capture_output=True).returncode == 0
    return as_module if works else []


def _venv(folder: Path) -> list[str]:
    return [sys.executable, "-m", "venv", str(folder)]


def _run(command: list[str]) -> None:
    # With this variable set nothing would be compiled, and every measured process would compile its imports.
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    answer = subprocess.run(command, check=False, capture_output=True, text=True, env=variables)
    if answer.returncode:
        lines = [line.strip() for line in (answer.stderr or answer.stdout).splitlines() if line.strip()]
        raise NotInstalled(f"cannot be installed: {' '.join(lines[-2:])}")
