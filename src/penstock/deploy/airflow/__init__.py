"""The same flow on Airflow 3: a DAG file, a client of its REST API, and the process of a step."""

from penstock.core.extras import late

__all__ = ["ABILITIES", "airflow_engine"]
__getattr__ = late(__name__, {"ABILITIES": f"{__name__}.abilities", "airflow_engine": f"{__name__}.engine"})
