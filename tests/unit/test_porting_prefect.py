"""Files of Prefect flows: what is said of them, and how they are rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.deploy.porting import BadPort, Verdict, port_prefect
from penstock.deploy.porting.prefect import ported


def verdicts(text: str) -> list[tuple[int, str, Verdict]]:
    return [(each.line, each.what, each.verdict) for each in ported(text).findings]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("from prefect import flow, task\n", "from penstock import flow, task\n"),
        ("from prefect.runtime import flow_run as fr\n", "from penstock.runtime import flow_run as fr\n"),
        ("import prefect\n@prefect.flow\ndef f(): ...\n", "import penstock\n@penstock.flow\ndef f(): ...\n"),
        ("import prefect as p\n@p.flow\ndef f(): ...\n", "import penstock as p\n@p.flow\ndef f(): ...\n"),
        ("é = 1; import prefect; x = 'é', prefect.flow\n", "é = 1; import penstock; x = 'é', penstock.flow\n"),
        ("if 1:\r\n\tfrom prefect import task\r\n", "if 1:\r\n\tfrom penstock import task\r\n"),
        ("\x0cimport prefect  # \u2028\nimport prefect\n", "\x0cimport penstock  # \u2028\nimport penstock\n"),
        ("from prefect import (\n flow,\n task,  # both\n)\n", "from penstock import (\n flow,\n task,  # both\n)\n"),
        ("prefect = 1\nprefect.flow\nfrom . import prefect\n", "prefect = 1\nprefect.flow\nfrom . import prefect\n"),
        ("from prefecture import flow\n", "from prefecture import flow\n"),
    ],
)  # fmt: skip
def test_imports_are_changed_and_nothing_else(text: str, made: str) -> None:
    found = ported(text)
    assert (found.text, found.changed) == (made, made != text)


def test_what_has_no_equal_stays_where_it_is() -> None:
    text = "def f():\n    from prefect import (flow as a,\n      variables,\n    task)\n    return a\n"
    found = ported(text)
    assert found.text == (
        "def f():\n    from penstock import flow as a, task\n    from prefect import variables\n    return a\n"
    )
    assert not found.ready
    assert verdicts(text)[1] == (3, "prefect.variables", Verdict.NONE)


def test_what_stands_there_instead_is_told() -> None:
    found = ported("from prefect.blocks.system import Secret\nfrom prefect_aws import S3Bucket\nimport prefect_dask\n")
    assert [each.verdict for each in found.findings] == [Verdict.NONE] * 3
    assert "penstock connection create" in found.findings[0].note
    assert "s3://" in found.findings[1].note
    assert "DaskRunner" in found.findings[2].note
    assert not found.changed


def test_options_and_methods_that_are_not_there() -> None:
    text = (
        "from prefect import flow, task\n"
        "@task(result_storage_key='x', retries=2)\ndef one(): ...\n"
        "@flow(viz_return_value=None)\ndef two(): ...\n"
        "one.with_options(result_serializer='json')\n"
        "one.delay(1)\ntwo.serve()\ntwo.visualize()\none.submit(1)\n"
    )
    left = [(line, what) for line, what, verdict in verdicts(text) if verdict in (Verdict.TODO, Verdict.NONE)]
    assert left == [
        (2, "task(result_storage_key=)"),
        (6, "task(result_serializer=)"),
        (7, "one.delay"),
        (9, "two.visualize"),
    ]


def test_generators() -> None:
    text = (
        "import prefect\n"
        "@prefect.task\ndef items():\n    for x in range(3):\n        yield x\n"
        "@prefect.task\ndef whole():\n    def inner():\n        yield 1\n    return list(inner())\n"
    )
    found = [(what, verdict) for _, what, verdict in verdicts(text) if what.startswith("@")]
    assert found == [("@task items", Verdict.TODO), ("@task whole", Verdict.SAME)]


@pytest.mark.parametrize("text", ["def f(:\n", "x = '\0'\n", "(" * 2_000, "x" + ".a" * 2_000, "x" + ".a" * 100_000])
def test_what_is_no_python_is_refused(text: str) -> None:
    with pytest.raises(BadPort, match=r"^flows\.py"):
        ported(text, "flows.py")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadPort, match="No such file"):
        port_prefect(tmp_path / "none.py")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    with pytest.raises(BadPort, match="no UTF-8"):
        port_prefect(tmp_path / "latin.py")
    with pytest.raises(BadPort, match="cannot be read"):
        port_prefect(tmp_path)
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbfimport prefect\r\n")
    assert port_prefect(tmp_path / "marked.py").text == "import penstock\r\n"


def test_where_something_is_left_both_are_imported() -> None:
    text = "import prefect\nimport prefect.blocks.system\nprefect.task\nprefect.blocks.system.Secret\n"
    assert ported(text).text == (
        "import penstock, prefect\nimport prefect.blocks.system\npenstock.task\nprefect.blocks.system.Secret\n"
    )
    assert not ported("import prefect as p\np.task\np.blocks\n").changed


def test_a_star_is_left_to_be_done() -> None:
    found = ported("from prefect import *\n")
    assert (found.ready, found.changed) == (False, False)
