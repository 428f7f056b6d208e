"""The local engine: execution, replay, retries, runners, leases, resume and fork."""

from penstock.engine.local import LocalEngine
from penstock.engine.runners.threads import ThreadPoolTaskRunner

__all__ = ["LocalEngine", "ThreadPoolTaskRunner"]
