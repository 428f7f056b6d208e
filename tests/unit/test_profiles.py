"""Profiles: named sets of settings in pyproject.toml."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from penstock.app import chosen_profile, load_settings
from penstock.core.errors import ConfigurationError
from penstock.orchestrator.declaring import declared_in_project

PROJECT = """
[tool.penstock]
inline_bytes = 1000
max_workers = 3

[tool.penstock.profiles.services]
database_url = "postgresql://${USER_OF_DB}:${PASSWORD:-none}@db/${SHOP}"
home = "elsewhere"
max_workers = 5

[tool.penstock.profiles.services.retention]
keep = "7d"

[tool.penstock.profiles.services.environment]
SHOP = "shop"
USER_OF_DB = "etl"
LAKE = "s3://${BUCKET:-lake}/${SHOP}"
PENSTOCK_CONNECTION_LAKE = { type = "s3", region = "${REGION:-eu}" }
LITERAL = "$${SHOP} costs $5"
DEBUG = true
NUMBER = 7

[tool.penstock.profiles.services.parameters.nightly]
places = { lake = "${LAKE}", tables = ["${SHOP}.orders", 3] }

[tool.penstock.profiles.local]
database_url = "sqlite:///journals/local.db"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder below one whose pyproject.toml has profiles."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "deep" / "below").mkdir(parents=True)
    return tmp_path / "deep" / "below"


def test_no_profile_is_no_profile(project: Path) -> None:
    settings = load_settings({}, project)
    assert (settings.max_workers, settings.database_url) == (3, "")
    assert chosen_profile({}, project) is None
    assert chosen_profile({"PENSTOCK_PROFILE": ""}, project) is None


def test_its_settings_go_before_those_of_the_project_and_behind_the_environment(project: Path) -> None:
    settings = load_settings({"PENSTOCK_PROFILE": "services"}, project)
    assert (settings.max_workers, settings.inline_bytes, settings.retention_keep) == (5, 1000, "7d")
    assert settings.database_url == "postgresql://etl:none@db/shop"
    assert settings.home == str(project.parent.parent / "elsewhere")
    settings = load_settings({"PENSTOCK_PROFILE": "services", "PENSTOCK_MAX_WORKERS": "9", "SHOP": "mine"}, project)
    assert (settings.max_workers, settings.database_url) == (9, "postgresql://etl:none@db/mine")


def test_what_it_says_for_the_environment_and_for_flows(project: Path) -> None:
    profile = chosen_profile({"PENSTOCK_PROFILE": "services", "BUCKET": "other", "REGION": ""}, project)
    assert profile is not None
    assert profile.environment == {
        "SHOP": "shop",
        "USER_OF_DB": "etl",
        "LAKE": "s3://other/shop",
        "PENSTOCK_CONNECTION_LAKE": '{"type": "s3", "region": "eu"}',
        "LITERAL": "${SHOP} costs $5",
        "DEBUG": "true",
        "NUMBER": "7",
    }
    assert profile.parameters == {"nightly": {"places": {"lake": "s3://other/shop", "tables": ["shop.orders", 3]}}}


def test_a_process_in_another_folder_has_the_same(project: Path, tmp_path: Path) -> None:
    name = f"local@{tmp_path / 'pyproject.toml'}"
    elsewhere = load_settings({"PENSTOCK_PROFILE": name}, Path("/"))
    assert elsewhere.database_url == f"sqlite:///{tmp_path}/journals/local.db"
    assert elsewhere.database_url == load_settings({"PENSTOCK_PROFILE": "local"}, project).database_url


def test_its_variables_are_set_where_the_environment_has_none(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOP", "USER_OF_DB", "LAKE", "PENSTOCK_CONNECTION_LAKE", "LITERAL", "NUMBER"):
        monkeypatch.setenv(name, "")  # so that it is as before afterwards
    monkeypatch.setenv("DEBUG", "mine")
    monkeypatch.setenv("PENSTOCK_PROFILE", "services")
    monkeypatch.chdir(project)
    load_settings(dict(os.environ))
    assert os.environ["SHOP"] == ""
    load_settings()
    assert (os.environ["SHOP"], os.environ["DEBUG"], os.environ["LAKE"]) == ("shop", "mine", "s3://lake/shop")
    monkeypatch.chdir("/")
    assert load_settings().max_workers == 5


def test_hosts_are_a_list_or_a_text(tmp_path: Path) -> None:
    for table, environ in (("", {}), (".profiles.x", {"PENSTOCK_PROFILE": "x"})):
        for hosts in ('["127.0.0.1", "*.internal"]', '"127.0.0.1, *.internal"'):
            (tmp_path / "pyproject.toml").write_text(f"[tool.penstock{table}]\ncall_hosts = {hosts}\n")
            assert load_settings(environ, tmp_path).call_hosts == "127.0.0.1, *.internal"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("call_hosts = [1]", "setting is wrong.*call_hosts"),
        ("call_hosts = [['a']]", "setting is wrong.*call_hosts"),
        ("call_hosts = {a = 'b'}", "setting is wrong.*call_hosts"),
        ("public_url = ['https://a.example']", "setting is wrong.*public_url"),
        ("max_workers = [3]", "setting is wrong.*max_workers"),
        ("log_level = {name = 'INFO'}", "setting is wrong.*log_level"),
        ("call_host = ['a']", "unknown settings: call_host"),
    ],
)
def test_a_list_or_a_table_that_cannot_be_a_setting(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.penstock]\n{text}\n")
    with pytest.raises(ConfigurationError, match=told):
        load_settings({}, tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("servces", "[tool.penstock.profiles.services]", "no profile 'servces'.*did you mean services"),
        ("x", "[tool.penstock.profiles.services]\n[tool.penstock.profiles.local]", "there are: services, local"),
        ("x", "[tool.penstock]", "no profile 'x'.*add one"),
        ("x", "[tool.other]", "no profile 'x'.*add one"),
        ("x", "[tool.penstock]\nprofiles = 3", "unknown settings: profiles"),
        ("x", "[tool.penstock.profiles]\nx = 3", "profiles are no tables"),
        ("x", "[tool.penstock.profiles.'a b']", "'a b' cannot be the name"),
        ("x", "[tool.penstock.profiles.x]\nhom = 'a'", "unknown settings: hom"),
        ("x", "[tool.penstock.profiles.x]\ndeployments = {}", "unknown settings: deployments"),
        ("x", "[tool.penstock.profiles.x]\nmax_workers = 'many'", "setting is wrong"),
        ("x", "[tool.penstock.profiles.x]\nhome = '${NOWHERE}'", "needs the variable NOWHERE"),
        ("x", "[tool.penstock.profiles.x]\nhome = '${A B}'", "cannot be read"),
        ("x", "[tool.penstock.profiles.x]\nenvironment = 3", "environment is no table"),
        ("x", "[tool.penstock.profiles.x]\nenvironment.PENSTOCK_HOME = 'a'", "PENSTOCK_HOME is a setting"),
        ("x", "[tool.penstock.profiles.x]\nenvironment.PENSTOCK_PROFILE = 'a'", "'PENSTOCK_PROFILE' can be no"),
        ("x", "[tool.penstock.profiles.x]\nenvironment.'A=B' = 'a'", "'A=B' can be no"),
        ("x", "[tool.penstock.profiles.x]\nparameters = 3", "parameters is no table"),
        ("x", "[tool.penstock.profiles.x]\nparameters.nightly = 3", "parameters is no table"),
        ("x", "[tool.penstock.profiles.x", "cannot be read"),
    ],
)
def test_mistakes(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigurationError) as found:
        load_settings({"PENSTOCK_PROFILE": name}, tmp_path)
    assert re.search(told, f"{found.value.message} {found.value.hint}", re.DOTALL)


def test_a_profile_without_a_project_or_in_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_settings({"PENSTOCK_PROFILE": f"x@{tmp_path / 'pyproject.toml'}"}, tmp_path)


FLOW = "from penstock import flow\n@flow\ndef nightly(places: dict, day: str = ''): ...\n"


def test_deployments_take_the_parameters_of_their_flow(tmp_path: Path) -> None:
    (tmp_path / "nightly.py").write_text(FLOW)
    file = tmp_path / "pyproject.toml"
    table = '[tool.penstock.deployments.{0}]\nflow = "nightly.py"\ncron = "@daily"\n'
    file.write_text(table.format("a") + table.format("b") + 'parameters = { places = { lake = "own" } }\n')
    given: dict[str, dict[str, Any]] = {"nightly": {"places": {"lake": "theirs"}, "day": "monday"}}
    found = declared_in_project(file, (), given)
    assert found["a"].parameters == {"places": {"lake": "theirs"}, "day": "monday"}
    assert found["b"].parameters == {"places": {"lake": "own"}, "day": "monday"}
    with pytest.raises(ConfigurationError, match="missing"):
        declared_in_project(file)
