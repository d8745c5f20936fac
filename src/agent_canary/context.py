"""Which assignment the running code serves, and whether it runs as a shadow."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .assignment import Assignment

assignment_var: ContextVar[Assignment | None] = ContextVar("agent_canary_assignment", default=None)
shadow_var: ContextVar[bool] = ContextVar("agent_canary_shadow", default=False)


def current_assignment() -> Assignment | None:
    """Return the assignment whose version the running code belongs to, or None outside of one.

    Right in nested calls, in tasks, and in threads started with a copied context
    (``asyncio.to_thread``, ``contextvars.copy_context().run``).
    """
    return assignment_var.get()


def is_shadow() -> bool:
    """Return whether the running code is a shadow call, whose side effects nobody asked for."""
    return shadow_var.get()


@contextmanager
def shadow_scope() -> Generator[None]:
    """Make :func:`is_shadow` true for the block, and take the user's assignment out of sight."""
    shadow_token = shadow_var.set(True)
    assignment_token = assignment_var.set(None)
    try:
        yield
    finally:
        assignment_var.reset(assignment_token)
        shadow_var.reset(shadow_token)
