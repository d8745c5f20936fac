"""Arrows point one way: read from the imports of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "src" / "agent_canary"
INTEGRATIONS = ROOT / "integrations"


MAY_IMPORT: dict[str, set[str]] = {
    "adapting": {"clock", "errors", "failsafe", "sticky_key"},
    "arguments": {"errors", "rollout", "stores"},
    "assignment": {"context", "ending", "errors", "metrics", "sticky_key", "traffic"},
    "assignment_id": {"errors"},
    "autopilot": set(),
    "clock": {"errors"},
    "context": set(),
    "deciding": {"errors", "metrics", "plan", "statistics"},
    "ending": {"metrics"},
    "errors": set(),
    "failsafe": set(),
    "metrics": {"clock", "errors"},
    "plan": {"errors"},
    "processes": set(),
    "rollout": {"clock", "errors", "plan"},
    "routing": {"errors", "plan", "sticky_key"},
    "shadow": {"assignment", "clock", "context", "errors", "failsafe", "metrics", "processes", "switches"},
    "statistics": set(),
    "sticky_key": set(),
    "stores": {"errors", "metrics", "rollout"},
    "switches": set(),
    "testing": {"clock", "errors", "switches"},
    "traffic": {"metrics"},
    "books": {"assignment", "clock", "metrics"},
    "controller": {"deciding", "errors", "metrics", "plan", "rollout", "stores", "switches"},
}
"""What each room may import of ours at run time; `worker`, `scoring`, `status` and `canary` compose them all."""

COMPOSERS = {"__init__", "canary", "scoring", "status", "worker"}

THIRD_PARTY: dict[str, set[str]] = {
    "agent_canary_asgi": {"anyio", "fastapi", "starlette"},
    "agent_canary_flask": {"flask", "werkzeug", "agent_canary_wsgi"},
    "agent_canary_langchain": {"langchain_core", "langgraph"},
    "agent_canary_opentelemetry": {"opentelemetry"},
    "agent_canary_wsgi": set(),
}


def room_of(path: Path) -> str:
    """Return the room that a module of the core belongs to."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


def imports(path: Path, root: Path) -> Iterator[tuple[str, int]]:
    """Yield the absolute names that a module imports at run time, with the line."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


CORE_MODULES = sorted(CORE.rglob("*.py"))
INTEGRATION_MODULES = sorted(INTEGRATIONS.rglob("*.py"))


def test_modules_were_found() -> None:
    """The parametrised tests below look at something."""
    assert len(CORE_MODULES) > 40
    assert len(INTEGRATION_MODULES) > 15


@pytest.mark.parametrize("path", CORE_MODULES, ids=lambda path: str(path.relative_to(CORE)))
def test_the_core_imports_the_standard_library_only(path: Path) -> None:
    """No module of the core imports anything that has to be installed."""
    foreign = [
        f"{name} (line {line})"
        for name, line in imports(path, CORE.parent)
        if name.partition(".")[0] not in sys.stdlib_module_names | {"agent_canary", "__future__"}
    ]
    assert not foreign


@pytest.mark.parametrize("path", CORE_MODULES, ids=lambda path: str(path.relative_to(CORE)))
def test_rooms_import_what_the_design_allows(path: Path) -> None:
    """A room knows of the other rooms only those that the table names."""
    room = room_of(path)
    if room in COMPOSERS:
        return
    assert room in MAY_IMPORT, f"the room {room!r} is new: say in MAY_IMPORT what it may import"
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{name} (line {line})"
        for name, line in imports(path, CORE.parent)
        if name.startswith("agent_canary") and name.split(".")[1] not in allowed
    ]
    assert not wrong


def test_the_table_has_no_room_that_does_not_exist() -> None:
    """The table and the tree are the same rooms."""
    assert {room_of(path) for path in CORE_MODULES} == MAY_IMPORT.keys() | COMPOSERS


@pytest.mark.parametrize("path", INTEGRATION_MODULES, ids=lambda path: str(path.relative_to(INTEGRATIONS)))
def test_a_third_party_stands_only_in_the_integration_named_after_it(path: Path) -> None:
    """An integration imports the core, the standard library and its own framework."""
    package = path.relative_to(INTEGRATIONS).parts[0]
    assert package in THIRD_PARTY, f"the integration {package!r} is new: say in THIRD_PARTY what it may import"
    allowed = sys.stdlib_module_names | {"__future__", "agent_canary", package} | THIRD_PARTY[package]
    wrong = [
        f"{name} (line {line})" for name, line in imports(path, INTEGRATIONS) if name.partition(".")[0] not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("path", INTEGRATION_MODULES, ids=lambda path: str(path.relative_to(INTEGRATIONS)))
def test_integrations_use_public_names(path: Path) -> None:
    """An integration imports no room of the core: only `agent_canary` itself, and what is made for adapters."""
    allowed = {"adapting", "errors"}
    wrong = [
        f"{name} (line {line})"
        for name, line in imports(path, INTEGRATIONS)
        if name.startswith("agent_canary.")
        and name.split(".")[1].islower()
        and len(name.split(".")) > 2
        and name.split(".")[1] not in allowed
    ]
    assert not wrong
