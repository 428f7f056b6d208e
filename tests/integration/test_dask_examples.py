"""The examples, unchanged, with their tasks on a Dask cluster: the same files come of them."""
# ruff: noqa: F401, F811 - fixtures are imported

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.acceptance.json_api import Reply, serving
from tests.acceptance.test_shop import EXAMPLE, Shop, shop
from tests.acceptance.users_posts import FILES, FLOW, cli_command, contents, python
from tests.integration.dask_cluster import Cluster
from tests.unit.engines import newest

from penstock import Penstock

pytestmark = [pytest.mark.integration, pytest.mark.timeout(110)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "dask"
    folder.mkdir()
    with Cluster(folder) as made:
        yield made


def run(flow: str, cluster: Cluster, **parameters: object) -> None:
    """In a process of its own, as its user would: the modules of two examples have the same names."""
    code = (
        "import json, sys\n"
        "from penstock.authoring.loading import load_flow\n"
        "from penstock.task_runners import DaskRunner\n"
        "flow = load_flow(sys.argv[1]).with_options(task_runner=DaskRunner(sys.argv[2]))\n"
        "flow(**json.loads(sys.argv[3]))\n"
    )
    ended = python("-c", code, flow, cluster.address, json.dumps(parameters))
    assert ended.returncode == 0, ended.stderr


def test_users_and_posts(cluster: Cluster, penstock_home: Path, test_data: Path, tmp_path: Path) -> None:
    real = json.loads((test_data / "jsonplaceholder" / "data.json").read_text(encoding="utf-8"))
    with serving({"/users": [Reply(real["users"])], "/posts": [Reply(real["posts"])]}) as api:
        run(f"{FLOW}:users_posts", cluster, base_url=api.url, output_dir=str(tmp_path / "there"))
        ended = python(*cli_command(api.url, tmp_path / "here"))
    assert ended.returncode == 0, ended.stderr
    assert sorted(contents(tmp_path / "there")) == sorted(FILES)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_the_shop(cluster: Cluster, shop: Shop) -> None:
    for day in range(2):
        shop.open(day)
        run(f"{EXAMPLE / 'flow.py'}:shop", cluster, places=shop.places)
        shop.check(day + 1)
    with closing(Penstock()) as app:
        tasks = app.journal.task_runs(newest(app).id)
    assert {task.state for task in tasks} == {"Completed"}
