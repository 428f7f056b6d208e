"""Sessions of Spark."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from penstock.core.errors import ConfigurationError
from penstock.core.extras import require

_ALONE = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
}
"""Of a Spark inside this process: nobody else reaches it, and there are as many parts as processors."""


def session(master: str = "local[*]", settings: dict[str, str] | None = None) -> Any:
    """A session: the one that there is in this process, or a new one without pages and progress bars.

    Args:
        master: `local[2]` for two threads of this process; `spark://host:7077`, `yarn`, `k8s://...` for a cluster,
            whose executors need `penstock[data]`.
        settings: more of Spark's own.

    Raises:
        MissingExtra: PySpark is not installed.
        ConfigurationError: there is no Java, or no such cluster.
    """
    sql = require("pyspark.sql", "spark")
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        raise ConfigurationError("Spark needs Java, and there is none.", hint="install Java 17, or set JAVA_HOME")
    local = master.startswith("local")
    if local:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    quiet = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    builder = sql.SparkSession.builder.master(master).appName("penstock")
    for name, value in {**quiet, **(_ALONE if local else {}), **(settings or {})}.items():
        builder = builder.config(name, value)
    try:
        return builder.getOrCreate()
    except Exception as error:  # Java's errors have no class of their own here
        raise ConfigurationError(
            f"Spark cannot be started with the master {master}: {str(error).splitlines()[0]}",
            hint="is it there, and is Java 17 installed?",
        ) from error
