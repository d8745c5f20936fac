"""Failing units: few bytes for each, and counts of the union of many workers' tables."""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from agent_canary.metrics.failing_units import FailingCounts, FailingUnits, united_counts

ROOM = 8
SHARE = st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0])
SHARES = st.tuples(st.one_of(st.just(0.0), SHARE), st.one_of(st.none(), SHARE))
# Few bits set or many zeros in front: so that every level occurs, and units meet each other.
UNIT = st.one_of(
    st.integers(0, 20),
    st.integers(0, 2**64 - 1),
    st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits)),
)
ENTRIES = st.lists(st.tuples(UNIT, SHARES), max_size=30)


def table_of(entries: list[tuple[int, Any]], room: int = ROOM) -> FailingUnits:
    """A table into which the entries were put one by one."""
    table = FailingUnits(room)
    for unit, shares in entries:
        table.put(unit, shares)
    return table


@given(ENTRIES)
def test_units_of_the_same_shares_stand_together(entries: list[tuple[int, Any]]) -> None:
    """Ascending, each unit in one group, and no group is empty."""
    table = table_of(entries)
    units = [unit for group in table.groups.values() for unit in group]
    assert len(units) == len(set(units)) == len(table)
    assert all(list(group) == sorted(group) and group for group in table.groups.values())
    assert all(table.get(unit) == shares for shares, group in table.groups.items() for unit in group)
    assert table.counts == FailingCounts(table.level, Counter(shares for _, shares in table.items()))


def test_a_unit_takes_ten_bytes() -> None:
    """Eight and some room to grow: a worker has eleven such tables of 4,096 units, twice."""
    chance, table = random.Random(1), FailingUnits()
    for _ in range(4096):
        table.put(chance.getrandbits(64), chance.choice([(0.0, 0.05), (0.05, None), (0.05, 0.25)]))
    assert len(table) == 4096
    assert sum(map(sys.getsizeof, table.groups.values())) < 10 * 4096


def test_the_counts_of_users_are_scaled() -> None:
    """A sample of a quarter stands for four times as many; one that failed on both counts for both."""
    counts = FailingCounts(2, {(0.0, 0.05): 3, (0.05, None): 5, (0.05, 0.25): 7})
    assert (counts.on_canary, counts.on_stable) == (40, 48)
    assert (FailingCounts().on_canary, FailingCounts().on_stable) == (0, 0)


def pairwise(tables: list[FailingUnits]) -> FailingCounts:
    """The counts of tables merged one after the other."""
    total = FailingUnits(ROOM)
    for table in tables:
        total.merge(table)
    return total.counts


@given(st.lists(ENTRIES, max_size=6), st.randoms(use_true_random=False))
@example([[(unit << 55, (0.0, 0.5)) for unit in range(40)]] * 3, random.Random(0))
@example([[(unit, (0.0, 0.5)) for unit in range(8)], [(unit, (0.25, None)) for unit in range(9)]], random.Random(0))
@example([[(7, (0.0, 0.5))], [(7, (0.25, None))], [(7, (0.05, 0.05))], [(7, (0.25, 0.05))]], random.Random(0))
def test_counts_of_many_are_those_of_their_union(parts: list[list[tuple[int, Any]]], chance: random.Random) -> None:
    """In any order, repeated or not, and the tables stay as they were."""
    tables = [table_of(entries) for entries in parts]
    kept = [table.copy() for table in tables]
    expected = pairwise(tables)
    assert united_counts(tables, max_units=ROOM) == expected
    shuffled = [*tables, *tables]
    chance.shuffle(shuffled)
    assert united_counts(shuffled, max_units=ROOM) == expected
    assert tables == kept


def test_counts_of_full_tables_are_those_of_their_union() -> None:
    """Workers that see the same users, other users, and both."""
    chance = random.Random(3)
    everybody = [chance.getrandbits(64) for _ in range(6000)]
    for seen in (300, 3000, 6000):
        tables = [FailingUnits() for _ in range(12)]
        for table in tables:
            for unit in chance.sample(everybody, seen):
                table.put(unit, chance.choice([(0.0, 0.05), (0.05, None), (0.25, None)]))
        total = FailingUnits()
        for table in tables:
            total.merge(table)
        assert united_counts(tables) == total.counts


def test_a_long_union_pauses_often() -> None:
    """No part of it takes long enough to be felt by others."""
    chance, steps = random.Random(4), list[int]()
    tables = [FailingUnits() for _ in range(50)]
    for table in tables:
        for _ in range(500):
            table.put(chance.getrandbits(64), chance.choice([(0.0, 0.05), (0.05, None)]))
    assert united_counts(tables, steps.append) == united_counts(tables)
    assert len(steps) > 100
    assert max(steps) < 1000


def test_the_union_of_nothing_is_empty() -> None:
    """Nobody failed."""
    assert united_counts([]) == united_counts([FailingUnits()]) == FailingCounts()
