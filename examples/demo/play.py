"""Playing a scene: the app under its server, the users' visits, and a look at the rollout four times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from agent_canary import AgentCanary, Event, Rollout, Store

from .agents import Agent
from .app import build_app
from .clients import Clients
from .recording import Moment, Recording
from .scenes import INTERVAL, LIMIT_SECONDS, TRAFFIC_SECONDS, Scene, new_rollout
from .server import serving

_LOOK_SECONDS = 0.25


def play(
    scene: Scene,
    agents: Mapping[str, Agent],
    clients: Clients,
    store: Store,
    secret: str,
    show: Callable[[Moment], None],
) -> Recording:
    """Roll the scene's canary out on the users' visits until the end is known, and 20 seconds at least.

    Args:
        scene: What to roll out.
        agents: By version.
        clients: Who visits.
        store: Where the rollouts' history is kept.
        secret: Signs the assignments' ids, which travel through the clients.
        show: Called four times a second.
    """
    canary = AgentCanary(
        scene.stable,
        scene.canary,
        new_rollout(),
        name="digit-reader",
        store=store,
        interval=INTERVAL,
        secret=secret,
    )
    with canary, serving(build_app(canary, agents)) as url, clients.visiting(url, scene.name):
        _watch(scene, canary, show)
    rollout = canary.rollout
    errors = canary.status()["errors"]
    return Recording(scene, rollout.stages, _events(rollout), clients.traffic, rollout.state.salt, errors)


def _watch(scene: Scene, canary: AgentCanary, show: Callable[[Moment], None]) -> None:
    began = time.monotonic()
    rollout = canary.rollout
    while True:
        seconds = time.monotonic() - began
        show(Moment(scene, seconds, rollout.stages, canary.status(), canary.explain(), _events(rollout)))
        if seconds >= (TRAFFIC_SECONDS if rollout.state.is_finished else LIMIT_SECONDS):
            return
        time.sleep(_LOOK_SECONDS)


def _events(rollout: Rollout) -> tuple[Event, ...]:
    """What happened in this run; the history also has the rollouts before it."""
    return tuple(event for event in rollout.history if event.run == rollout.run)
