"""Log files far larger than memory: read once, every line accounted for."""

from penstock.processing.logs.analyzer import LogAnalyzer, process_large_log
from penstock.processing.logs.anomalies import Anomaly, Detector, detect
from penstock.processing.logs.following import Interval
from penstock.processing.logs.generator import Traffic, generate
from penstock.processing.logs.progress import Progress
from penstock.processing.logs.report import LogReport, Malformed, Top, Written
from penstock.processing.logs.templates import Template, Templates

__all__ = [
    "Anomaly",
    "Detector",
    "Interval",
    "LogAnalyzer",
    "LogReport",
    "Malformed",
    "Progress",
    "Template",
    "Templates",
    "Top",
    "Traffic",
    "Written",
    "detect",
    "generate",
    "process_large_log",
]
