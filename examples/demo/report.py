"""The report: for each rollout what was decided, when, why, and what that meant for users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent_canary import EventKind

from . import wording
from .original import MIN_SAMPLES, SAFETY_MARGIN, WINDOW
from .result import Result
from .scenes import INTERVAL

HOW_IT_WAS_COUNTED = (
    "A bad answer is a wrong digit or an error. It is the canary's fault when stable would have answered the same "
    "request well. What another version would have answered is not estimated: it was asked, afterwards, with the same "
    "scan and the same request id, from which all follows.\n"
    "The original's rule is replayed on the same requests, users, times and buckets, and asked every "
    f"{INTERVAL:g} s, as the library decides. It rolls back when the canary's HTTP success over its last {WINDOW:,} "
    f"answers is more than {100 * SAFETY_MARGIN:g} points below stable's, from {MIN_SAMPLES} answers on, and promotes "
    "when a stage's time, samples and success are met. Users are taken to come back as they did, whatever they were "
    "answered. The count ends with the traffic: harm that would have gone on is not in it."
)

_NOTICEABLE = 0.01
"""From what difference of failure rates on it is worth a word."""


def report(results: Sequence[Result]) -> RenderableType:
    """Return the report on *results*, in their order."""
    parts = [_one(number, result) for number, result in enumerate(results, start=1)]
    return Group(*parts, Text("How it was counted", "bold"), Text(HOW_IT_WAS_COUNTED, "dim"))


def decision(result: Result) -> str:
    """What was decided, and when."""
    end = result.end
    if end is None:
        return "not decided"
    what = "promoted to everybody" if end.kind is EventKind.COMPLETED else "rolled back"
    return f"{what} after {result.seconds_at(end):.1f} s"


def reasons(result: Result) -> Iterator[str]:
    """Yield the sentences behind the decision, with their numbers."""
    if result.end is None:
        return
    yield result.end.reason
    if result.end.kind is EventKind.COMPLETED:
        for finding in (result.end.evidence or {}).get("findings", ()):
            yield finding["sentence"]


def steps(result: Result) -> str:
    """When which share of users got the canary."""
    words: list[str] = []
    for event in result.events:
        if event.kind is EventKind.STARTED:
            word = wording.share(result.shares[0])
        elif event.kind is EventKind.PROMOTED:
            word = wording.share(result.shares[event.data["stage"]])
        else:
            word = event.kind.value.replace("_", " ")
        words.append(f"{word} at {result.seconds_at(event):.1f} s")
    return ", ".join(words)


def stickiness(result: Result) -> str:
    """Who changed version, and why."""
    sticky = result.stickiness
    causes = {"by a promotion": sticky.promoted, "by the rollback": sticky.rolled_back}
    changed = ", ".join(f"{users:,} {cause}" for cause, users in causes.items() if users)
    return f"users who changed version: {changed or 'none'}; without a cause: {sticky.flapped or 'none'}"


def fate(result: Result) -> str:
    """What the original's rule would have done."""
    original, canary = result.original, result.scene.canary
    last = original.moves[-1]
    tolerated = original.gap <= SAFETY_MARGIN
    apart = f"over all requests, {canary} fails {100 * original.gap:.1f} points more often"
    if original.is_rolled_back:
        seen = f"with {100 * last.success:.1f} % success of {last.answers:,} answers of {canary}"
        chance = f"; {apart}, which the rule tolerates: it was chance" if tolerated else ""
        return f"rolls back after {last.at:.1f} s, {seen}{chance}"
    whom = "everybody" if last.share >= 1.0 else f"{wording.share(last.share)} of the users"
    served = f"gives {canary} to {whom} from {last.at:.1f} s to the end"
    if result.end is None or result.end.kind is not EventKind.ROLLED_BACK:
        return served
    if original.gap < _NOTICEABLE:
        return f"{served}: HTTP success is all that it sees"
    return f"{served}: {apart}{', which it tolerates' if tolerated else ''}"


def _one(number: int, result: Result) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    for name, sentence in _facts(result):
        facts.add_row(name, sentence)
    indented = [Padding(part, (0, 0, 1, 3), expand=False) for part in (facts, _harms(result))]
    return Group(_headline(number, result), *indented)


def _headline(number: int, result: Result) -> Text:
    scene = result.scene
    headline = Text(f"{number}. {scene.stable} → {scene.canary}: {decision(result)}", "bold")
    if result.problems:
        return headline.append(", not as it should", "red")
    return headline.append(", as it should", "green")


def _facts(result: Result) -> Iterator[tuple[str, Text]]:
    yield "what", Text(result.scene.change)
    for problem in result.problems:
        yield "problem", Text(problem, "bold red")
    for reason in reasons(result):
        yield "why", Text(reason)
    yield "when", Text(steps(result))
    yield "users", Text(f"{result.stickiness.users:,}; they judged {result.judged:,} of {result.requests:,} answers")
    yield "sticky", Text(stickiness(result))
    yield "original", Text(f"its rule {fate(result)}")


def _harms(result: Result) -> RenderableType:
    ours, theirs, none = result.ours, result.originals, result.stables
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("the same requests with", style="dim")
    for name, style in (("agent_canary", "bold"), ("original's rule", ""), ("no rollout", "")):
        table.add_column(name, justify="right", style=style)
    table.add_row("users who met a bad answer", f"{ours.users:,}", f"{theirs.users:,}", f"{none.users:,}")
    table.add_row("… the canary's fault", f"{ours.harmed:,}", f"{theirs.harmed:,}", "–")
    table.add_row("bad answers", f"{ours.answers:,}", f"{theirs.answers:,}", f"{none.answers:,}")
    return table
