"""What steps hand to each other through a bucket, and a bucket that cannot be reached."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.conftest import service_url

from penstock import flow, task
from penstock.core.events import RunCompleted
from penstock.core.release import VERSION
from penstock.deploy.orders import COMPLETED, VERDICT, WHOLE, StepOrder
from penstock.deploy.outcomes import Outcomes, OutcomesUnreachable, outcome
from penstock.deploy.step import run_step
from penstock.deploy.tracing import plan_of

pytestmark = pytest.mark.integration


@task
def large(n: int) -> list[int]:
    return list(range(n))


@task
def total(values: list[int]) -> int:
    return sum(values)


@flow
def adding(n: int = 20_000) -> int:
    return total(large.submit(n))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> str:
    boto3 = pytest.importorskip("boto3")
    url = urlsplit(service_url("s3"))
    given = {
        "AWS_ENDPOINT_URL": f"{url.scheme}://{url.hostname}:{url.port}",
        "AWS_ACCESS_KEY_ID": url.username or "",
        "AWS_SECRET_ACCESS_KEY": url.password or "",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    name = f"penstock-{uuid4().hex}"
    client = boto3.client("s3", endpoint_url=given["AWS_ENDPOINT_URL"], region_name="us-east-1")
    client.create_bucket(Bucket=name)
    return name


def test_steps_hand_their_results_on_through_a_bucket(bucket: str, tmp_path: Path) -> None:
    run, steps = str(uuid4()), tuple(step.key for step in plan_of(adding).steps)
    order = {"penstock": VERSION, "results": f"s3://{bucket}/steps", "run": run, "deployment": "d"}
    for step in (*steps, VERDICT):
        assert run_step(StepOrder(**order, step=step, steps=steps), adding) == COMPLETED  # type: ignore[arg-type]
    store = Outcomes(f"s3://{bucket}/steps")
    assert sorted(step for step, _ in store.of_run(run)) == ["large#1", "total#1", "verdict"]
    found = store.get(run, VERDICT)
    assert found is not None
    event, data = found.records[-1]
    assert isinstance(event, RunCompleted)
    assert event.result is not None
    assert store.results.load(event.result, data) == sum(range(20_000))
    assert store.content(store.results.save([7] * 20_000)[0].ref or "")
    assert run_step(StepOrder(**order, step=WHOLE), adding) == COMPLETED  # type: ignore[arg-type]


def test_a_bucket_that_is_not_there_is_told(bucket: str) -> None:
    with pytest.raises(OutcomesUnreachable, match=r"s3://nothing-here/steps cannot be reached"):
        Outcomes("s3://nothing-here/steps").put("run", "step", outcome("1", []))


def test_a_store_that_does_not_answer_is_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(OutcomesUnreachable, match="cannot be reached"):
        Outcomes(f"s3://{bucket}/steps").get("run", "step")
