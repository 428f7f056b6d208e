"""How long to wait before the next attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

RetryDelay = float | int | Sequence[float] | Callable[[int], Sequence[float]]


def exponential_backoff(backoff_factor: float) -> Callable[[int], list[float]]:
    """Delays that double: factor x 1, 2, 4, ... seconds, for `retry_delay_seconds`."""

    def delays(retries: int) -> list[float]:
        return [backoff_factor * 2**index for index in range(retries)]

    return delays


def delay_before(attempt: int, delays: float | Sequence[float], jitter: float | None) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1).

    A list that is shorter than the number of retries repeats its last value. With a jitter factor, the delay is
    drawn from a clamped Poisson interval between (1 - jitter) and (1 + jitter) times the delay.

    Args:
        attempt: the attempt that just failed.
        delays: seconds, or a list of them.
        jitter: None or 0 for none.
    """
    if isinstance(delays, (int, float)):
        base = float(delays)
    else:
        base = float(delays[min(attempt, len(delays)) - 1]) if delays else 0.0
    if not jitter or base <= 0:
        return max(base, 0.0)
    import random

    low, high = base * max(0.0, 1.0 - jitter), base * (1.0 + jitter)
    return min(max(random.expovariate(1.0 / base), low), high)
