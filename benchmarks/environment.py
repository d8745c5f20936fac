"""What a result depends on: when, on what, and with which releases."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTIONS = (
    "agent-canary-rollout",
    "anyio",
    "growthbook",
    "langchain-core",
    "launchdarkly-server-sdk",
    "openfeature-sdk",
    "opentelemetry-instrumentation-asgi",
    "opentelemetry-sdk",
    "prometheus-client",
    "starlette",
    "UnleashClient",
    "yggdrasil-engine",
)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where a run happened.

    Attributes:
        date: ISO date, UTC.
        python: Implementation and version.
        system: Operating system and processor architecture.
        processors: How many this process may use.
        load: Mean number of processes that wanted a processor in the minute before; None where nobody counts them.
        packages: Versions of what was measured, by distribution; those not installed are missing.
    """

    date: str
    python: str
    system: str
    processors: int
    load: float | None
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Environment:
        """Describe this process's."""
        return cls(
            date=time.strftime("%Y-%m-%d", time.gmtime()),
            python=f"{platform.python_implementation()} {platform.python_version()}",
            system=f"{platform.system()} {platform.machine()}",
            processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            packages={name: found for name in DISTRIBUTIONS if (found := _version(name)) is not None},
        )

    @property
    def is_busy(self) -> bool:
        """Whether other processes wanted more than half of the processors before the run."""
        return self.load is not None and self.load > self.processors / 2

    def __str__(self) -> str:
        load = "" if self.load is None else f", load before the run {self.load:.1f}"
        return f"{self.date}, {self.python}, {self.system}, {self.processors} processors{load}"


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
