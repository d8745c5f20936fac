"""Feature flag SDKs, set up to split keys by a percentage as their own documentation does it, without a network.

Each is asked by its cheapest call that tells the two versions apart, with a new sticky key each time, and has nothing
else to do: no listeners, no analytics events, no impressions, no log lines. Clients live as long as a process does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

FLAG = "support-agent"

Ask = Callable[[str], bool]
Loop = Callable[[Iterator[str]], object]


@dataclass(frozen=True, slots=True)
class Sdk:
    """One SDK, ready to be asked.

    Attributes:
        ask: Whether a sticky key gets the canary, to check that the SDK splits keys at all.
        loop: Asks for each key, written out as users would.
    """

    ask: Ask
    loop: Loop


@contextmanager
def growthbook(share: float) -> Generator[Sdk]:
    """One instance whose attributes change. GrowthBook's guide makes one for each request, which costs more."""
    from growthbook import GrowthBook

    rule = {"force": True, "coverage": share, "hashAttribute": "id", "hashVersion": 2, "seed": FLAG}
    client = GrowthBook(features={FLAG: {"defaultValue": False, "rules": [rule]}})

    def ask(key: str) -> bool:
        client.set_attributes({"id": key})
        return bool(client.is_on(FLAG))

    def loop(keys: Iterator[str]) -> None:
        for key in keys:
            client.set_attributes({"id": key})
            client.is_on(FLAG)

    try:
        yield Sdk(ask, loop)
    finally:
        client.destroy()


@contextmanager
def launchdarkly(share: float) -> Generator[Sdk]:
    """Flags from a file: the SDK's test data source knows no percentages, and its offline mode no flags."""
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations import Files

    on = round(share * 100_000)
    weights = [{"variation": 0, "weight": on}, {"variation": 1, "weight": 100_000 - on}]
    flag = {
        "key": FLAG,
        "version": 1,
        "on": True,
        "salt": FLAG,
        "variations": [True, False],
        "fallthrough": {"rollout": {"variations": weights}},
    }
    logging.getLogger("ldclient").setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        file = Path(folder, "flags.json")
        file.write_text(json.dumps({"flags": {FLAG: flag}}), encoding="utf-8")
        source: Any = Files.new_data_source(paths=[str(file)])
        client = LDClient(Config("sdk-key", update_processor_class=source, send_events=False, diagnostic_opt_out=True))

    def ask(key: str) -> bool:
        return bool(client.variation(FLAG, Context.create(key), False))

    def loop(keys: Iterator[str]) -> None:
        for key in keys:
            client.variation(FLAG, Context.create(key), False)

    try:
        yield Sdk(ask, loop)
    finally:
        client.close()  # type: ignore[no-untyped-call]


@contextmanager
def openfeature(share: float) -> Generator[Sdk]:
    """The in-memory provider, which leaves the split to a callable: the bare salted hash."""
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.flag_evaluation import FlagResolutionDetails, Reason
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    threshold = int(share * 2**32)

    def split(_flag: InMemoryFlag[bool], context: EvaluationContext) -> FlagResolutionDetails[bool]:
        digest = md5((FLAG + (context.targeting_key or "")).encode()).digest()  # noqa: S324
        on = int.from_bytes(digest[:4], "big") < threshold
        return FlagResolutionDetails(value=on, reason=Reason.SPLIT, variant="on" if on else "off")

    flag = InMemoryFlag("off", {"on": True, "off": False}, context_evaluator=split)
    api.set_provider(InMemoryProvider({FLAG: flag}))
    client = api.get_client()

    def ask(key: str) -> bool:
        return client.get_boolean_value(FLAG, False, EvaluationContext(targeting_key=key))

    def loop(keys: Iterator[str]) -> None:
        for key in keys:
            client.get_boolean_value(FLAG, False, EvaluationContext(targeting_key=key))

    try:
        yield Sdk(ask, loop)
    finally:
        api.shutdown()


@contextmanager
def unleash(share: float) -> Generator[Sdk]:
    """A bootstrapped client that fetches and sends nothing; percentages are whole numbers there."""
    from UnleashClient import UnleashClient  # type: ignore[attr-defined]
    from UnleashClient.cache import FileCache
    from UnleashClient.utils import InstanceAllowType

    parameters = {"rollout": str(round(share * 100)), "stickiness": "userId", "groupId": FLAG}
    strategy: dict[str, Any] = {"name": "flexibleRollout", "parameters": parameters, "constraints": []}
    features: dict[str, Any] = {"version": 2, "features": [{"name": FLAG, "enabled": True, "strategies": [strategy]}]}
    for name in ("UnleashClient", "apscheduler"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with TemporaryDirectory() as folder:
        cache = FileCache("benchmark", directory=folder)
        cache.bootstrap_from_dict(features)
        client = UnleashClient(
            "http://127.0.0.1:9/api",
            "benchmark",
            cache=cache,
            disable_metrics=True,
            disable_registration=True,
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
        )
        client.initialize_client(fetch_toggles=False)

        def ask(key: str) -> bool:
            return bool(client.is_enabled(FLAG, {"userId": key}))

        def loop(keys: Iterator[str]) -> None:
            for key in keys:
                client.is_enabled(FLAG, {"userId": key})

        try:
            yield Sdk(ask, loop)
        finally:
            client.destroy()


SDKS = {
    "GrowthBook": ("growthbook", growthbook),
    "LaunchDarkly": ("ldclient", launchdarkly),
    "OpenFeature, in-memory provider": ("openfeature", openfeature),
    "Unleash": ("UnleashClient", unleash),
}
"""By the name in the table: the package that must be importable, and how the SDK is set up for a share of keys."""
