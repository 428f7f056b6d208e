"""What is strange: in a column, in a series, and in the history of a dataset.

from penstock.quality.anomalies import anomalies, detector, outliers

report = outliers("orders.parquet", ["amount"])     # a whole column
report = anomalies(values, times)                   # a series, each value compared with those before it
score = detector("mad").update(12.5)                # the same, one by one
"""

from penstock.quality.anomalies.change import Cusum
from penstock.quality.anomalies.columns import outliers
from penstock.quality.anomalies.contract import Detector, Score, Scores
from penstock.quality.anomalies.detectors import DETECTORS, detector, resume
from penstock.quality.anomalies.forest import Forest, IsolationForest
from penstock.quality.anomalies.methods import METHODS
from penstock.quality.anomalies.metrics import (
    MetricAnomaly,
    Observation,
    history_of,
    metric_anomalies,
    profiled,
    writings,
)
from penstock.quality.anomalies.ranks import Iqr, Mad
from penstock.quality.anomalies.reports import Anomaly, AnomalyReport, ColumnOutliers, Outlier, OutlierReport
from penstock.quality.anomalies.seasonal import Parts, Seasonal, decompose
from penstock.quality.anomalies.series import anomalies, anomalies_of
from penstock.quality.anomalies.spread import Ewma, ZScore
from penstock.quality.anomalies.tails import Tails

__all__ = [
    "DETECTORS",
    "METHODS",
    "Anomaly",
    "AnomalyReport",
    "ColumnOutliers",
    "Cusum",
    "Detector",
    "Ewma",
    "Forest",
    "Iqr",
    "IsolationForest",
    "Mad",
    "MetricAnomaly",
    "Observation",
    "Outlier",
    "OutlierReport",
    "Parts",
    "Score",
    "Scores",
    "Seasonal",
    "Tails",
    "ZScore",
    "anomalies",
    "anomalies_of",
    "decompose",
    "detector",
    "history_of",
    "metric_anomalies",
    "outliers",
    "profiled",
    "resume",
    "writings",
]
