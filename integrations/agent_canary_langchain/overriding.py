"""``override`` for type checkers: Python itself has it from 3.12 on, and nothing needs it at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import override
else:
    Method = TypeVar("Method")

    def override(method: Method) -> Method:
        """Return *method*."""
        return method


__all__ = ["override"]
