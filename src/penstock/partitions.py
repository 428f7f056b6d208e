"""The pieces a flow's data comes in: `@flow(partitions=daily())`."""

from penstock.core.partitions import KeyPartitions, Partition, TimePartitions, daily, hourly, keyed, monthly, weekly

__all__ = ["KeyPartitions", "Partition", "TimePartitions", "daily", "hourly", "keyed", "monthly", "weekly"]
