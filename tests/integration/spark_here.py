"""A Spark in the process of the tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import missing
from tests.ports import own_port

QUIET = pytest.mark.filterwarnings(
    "ignore:PySpark does not yet fully support pandas:FutureWarning", "ignore::ResourceWarning"
)


def needs_spark() -> None:
    """Skip the test, or fail it where everything has to be there."""
    if importlib.util.find_spec("pyspark") is None:
        missing("PySpark is not installed: pip install 'penstock[spark]'")
    if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
        missing("there is no Java for Spark: apt-get install openjdk-17-jre-headless")


def spark_in(folder: Path) -> Iterator[Any]:
    """A session whose files are there; stopped in the end."""
    needs_spark()
    from penstock.processing.spark import session

    made = session("local[2]", settings_in(folder))
    try:
        yield made
    finally:
        made.stop()


def settings_in(folder: Path) -> dict[str, str]:
    return {
        "spark.local.dir": str(folder),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.driver.memory": "512m",
        # It lives for seconds: what the second compiler would gain is less than what it takes.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.driver.port": str(own_port()),
        "spark.blockManager.port": str(own_port()),
    }
