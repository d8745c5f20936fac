"""The memory store keeps the contract of all stores."""

from __future__ import annotations

from hypothesis import settings

from agent_canary import MemoryStore, Store
from tests.stores.store_contract import StoreContract, StoreMachine


class TestMemoryStore(StoreContract):
    """The store of one process."""

    def make_store(self) -> Store:
        """Return an empty store."""
        return MemoryStore()

    def test_it_is_of_one_process(self, store: Store) -> None:
        """What was read never grows stale, and the process has the say over event times."""
        assert store.is_shared is False
        assert store.now() is None


class MemoryMachine(StoreMachine):
    """Any sequence of calls on a memory store."""

    make_store = MemoryStore


TestMemoryMachine = MemoryMachine.TestCase
TestMemoryMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
