"""Access logs counted by Spark: a batch job, and a stream that goes on where it was."""

from penstock.processing.spark.jobs import SparkCounts, count_logs, follow_logs, read_counts
from penstock.processing.spark.sessions import session

__all__ = ["SparkCounts", "count_logs", "follow_logs", "read_counts", "session"]
