"""Log files far larger than memory: read once, every line accounted for."""

from penstock.processing.logs.analyzer import LogAnalyzer, Progress, process_large_log
from penstock.processing.logs.anomalies import Anomaly, Detector, detect
from penstock.processing.logs.generator import Traffic, generate
from penstock.processing.logs.report import LogReport, Malformed, Top

__all__ = [
    "Anomaly",
    "Detector",
    "LogAnalyzer",
    "LogReport",
    "Malformed",
    "Progress",
    "Top",
    "Traffic",
    "detect",
    "generate",
    "process_large_log",
]
