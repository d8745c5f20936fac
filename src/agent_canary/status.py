"""What a canary tells of itself, as JSON."""

from __future__ import annotations

from typing import Any

from . import switches
from .deciding.verdict import Verdict
from .failsafe import Failsafe
from .rollout import Event
from .worker import Worker


def status_of(worker: Worker, failsafe: Failsafe, *, autopilot: bool) -> dict[str, Any]:
    """Return everything about a rollout and this process's part in it.

    Args:
        worker: This process's part.
        failsafe: What went wrong.
        autopilot: Whether the daemon thread ticks.
    """
    rollout = worker.rollout
    state = rollout.state
    stable, canary = worker.versions
    metrics = worker.books.metrics
    now = worker.clock.wall()
    return {
        "name": worker.name,
        "stable_version": stable,
        "canary_version": canary,
        "status": state.status.value,
        "run": state.run,
        "revision": state.revision,
        "stage_idx": state.stage_idx,
        "stages_total": len(rollout.stages),
        "current_percent": rollout.current_percent,
        "traffic_share": worker.traffic.felt_share,
        "is_complete": rollout.is_complete,
        "time_in_stage_s": rollout.time_in_stage(),
        "stable_metrics": metrics[stable].snapshot(),
        "canary_metrics": metrics[canary].snapshot(),
        "failure_reasons": {
            stable: dict(worker.ledger.failure_reasons[False]),
            canary: dict(worker.ledger.failure_reasons[True]),
        },
        "alpha": worker.analysis.alpha,
        "alpha_budget": worker.analysis.budget,
        "verdict": _verdict(worker.last_verdict),
        "last_event": _event(rollout.history),
        "assigned_without_key": worker.ledger.without_key,
        "few_units": worker.few_units_note(),
        "open_assignments": worker.ledger.open_count,
        "pending_slices": worker.ledger.pending_slices,
        "watermark_age_s": max(0.0, now - worker.ledger.totals.watermark),
        "is_disabled": switches.is_disabled(),
        "forced_version": switches.forced_version(),
        "autopilot": autopilot,
        "worker": worker.id,
        "errors": failsafe.counts,
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    return None if verdict is None else verdict.to_json()


def _event(history: tuple[Event, ...]) -> dict[str, Any] | None:
    return history[-1].to_json() if history else None
