"""What outlives a process."""

from .memory import MemoryStore
from .protocol import Store

__all__ = ["MemoryStore", "Store"]
