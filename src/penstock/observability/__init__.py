"""How long things take, and what they need: measured in runs and outside of them, and handed out as metrics."""

from penstock.observability.metrics import REGISTRY, Counter, Gauge, Histogram, Registry
from penstock.observability.monitoring import Measured, performance_monitor

__all__ = ["REGISTRY", "Counter", "Gauge", "Histogram", "Measured", "Registry", "performance_monitor"]
