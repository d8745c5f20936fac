"""The table of units: a bounded sample by hash that merges by union, whatever the order and the workers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_canary.metrics.answers import units_of
from agent_canary.metrics.failing_units import FailingUnits, combine_shares
from agent_canary.metrics.units import MAX_UNITS, UnitTable, earlier, first_outcomes

ROOM = 8
SHARE = st.sampled_from([0.01, 0.05, 0.25, 0.5, 1.0])
SHARES = st.tuples(st.one_of(st.just(0.0), SHARE), st.one_of(st.none(), SHARE))
FIRST = st.tuples(st.floats(0, 1e10), st.integers(0, 5), SHARE, st.booleans(), st.booleans(), st.booleans())
# Few bits set or many zeros in front: so that every level occurs.
UNIT = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits)))
ENTRIES = st.lists(st.tuples(UNIT, SHARES), max_size=60)


Table = UnitTable[Any] | FailingUnits
Make = Callable[[], Table]


def plain() -> UnitTable[Any]:
    """A small table of any values."""
    return UnitTable(combine_shares, ROOM)


def compact() -> FailingUnits:
    """A small table of failing units."""
    return FailingUnits(ROOM)


def table_of(entries: list[tuple[int, Any]], make: Make = plain) -> Any:
    """A small table into which the entries were put one by one."""
    table = make()
    for unit, value in entries:
        table.put(unit, value)
    return table


def union(*tables: Any) -> Any:
    """The union of tables, none of which is changed."""
    total = tables[0].copy()
    for table in tables[1:]:
        total.merge(table)
    return total


both_kinds = pytest.mark.parametrize("make", [plain, compact])


@both_kinds
@given(ENTRIES)
@example([(unit << 55, (0.0, 0.5)) for unit in (*range(40), *range(40))])
def test_the_level_is_a_pure_function_of_the_units(make: Make, entries: list[tuple[int, Any]]) -> None:
    """It is the smallest that leaves at most as many units as there is room for, and those are all that it keeps."""
    units = {unit for unit, _ in entries}
    level = next(j for j in range(65) if sum(unit < 2 ** (64 - j) for unit in units) <= ROOM)
    table = table_of(entries, make)
    assert table.level == level
    assert table.limit == 2 ** (64 - level)
    assert set(table) == {unit for unit in units if unit < 2 ** (64 - level)}
    assert len(table) <= ROOM


@both_kinds
@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(
    make: Make, entries: list[tuple[int, Any]], chance: random.Random
) -> None:
    """Shuffled, the same entries make the same table."""
    shuffled = entries.copy()
    chance.shuffle(shuffled)
    assert table_of(shuffled, make) == table_of(entries, make)


@both_kinds
@given(ENTRIES, ENTRIES)
def test_the_union_is_that_of_one_worker_who_saw_all(
    make: Make, some: list[tuple[int, Any]], others: list[tuple[int, Any]]
) -> None:
    """The way units were spread over workers changes nothing."""
    assert union(table_of(some, make), table_of(others, make)) == table_of(some + others, make)


@both_kinds
@given(ENTRIES, ENTRIES, ENTRIES)
def test_the_union_is_commutative_associative_and_idempotent(
    make: Make, one: list[tuple[int, Any]], two: list[tuple[int, Any]], three: list[tuple[int, Any]]
) -> None:
    """Workers may be merged in any order and grouping, and again."""
    a, b, c = table_of(one, make), table_of(two, make), table_of(three, make)
    assert union(a, b) == union(b, a)
    assert union(union(a, b), c) == union(a, union(b, c))
    assert union(a, b, b, a) == union(a, b)
    assert union(a, a) == a


@both_kinds
@given(ENTRIES, ENTRIES)
def test_a_union_leaves_the_other_as_it_was(
    make: Make, some: list[tuple[int, Any]], others: list[tuple[int, Any]]
) -> None:
    """The table that is merged is not changed, nor is a copy by its original."""
    table, other = table_of(some, make), table_of(others, make)
    kept = other.copy()
    table.merge(other)
    table.put(0, (0.0, 0.01))
    assert other == kept == table_of(others, make)


@both_kinds
@given(UNIT, st.lists(SHARES, min_size=1))
def test_a_units_values_are_combined(make: Make, unit: int, values: list[Any]) -> None:
    """The largest share of a failure on stable, and the smallest on the canary."""
    table = table_of([(unit, value) for value in values], make)
    his = [hi for _, hi in values if hi is not None]
    assert table.get(unit) == (max(lo for lo, _ in values), min(his) if his else None)
    assert list(table.items()) == [(unit, table.get(unit))]
    assert list(table) == [unit]


@given(SHARES, SHARES, SHARES)
def test_combining_shares_is_a_union_too(one: Any, two: Any, three: Any) -> None:
    """Commutative, associative, idempotent; never having failed on the canary is larger than every share."""
    assert combine_shares(one, two) == combine_shares(two, one)
    assert combine_shares(combine_shares(one, two), three) == combine_shares(one, combine_shares(two, three))
    assert combine_shares(one, one) == one
    assert combine_shares((0.25, None), (0.0, 0.5)) == (0.25, 0.5)


@given(st.lists(FIRST, min_size=1, max_size=10))
def test_the_earliest_outcome_is_kept(outcomes: list[Any]) -> None:
    """That of a unit's first request, in whatever order they are heard of; who ever met the canary has met it."""
    table = table_of([(7, outcome) for outcome in outcomes], lambda: UnitTable(earlier, ROOM))
    assert table.get(7) == (*min(outcomes)[:5], any(outcome[5] for outcome in outcomes))


@given(FIRST, FIRST, FIRST)
def test_first_outcomes_unite_in_any_order(one: Any, two: Any, three: Any) -> None:
    """Commutative, associative and idempotent, so that neither workers nor repeats change anything."""
    assert earlier(one, two) == earlier(two, one)
    assert earlier(earlier(one, two), three) == earlier(one, earlier(two, three))
    assert earlier(one, one) == one


@both_kinds
def test_an_unknown_unit_has_no_value(make: Make) -> None:
    """None, without an error."""
    assert make().get(5) is None
    assert table_of([(4, (0.0, 0.5)), (6, (0.0, 0.5))], make).get(5) is None


@pytest.mark.parametrize("make", [lambda: UnitTable(combine_shares), FailingUnits])
def test_a_table_is_bounded_and_estimates_how_many_there_were(make: Callable[[], Table]) -> None:
    """Of 100,000 random units at most 4,096 are kept, and their number is known within a few per cent."""
    chance = random.Random(5)
    table = make()
    for _ in range(100_000):
        table.put(chance.getrandbits(64), (0.0, 0.01))
    assert MAX_UNITS / 2 * 0.9 < len(table) <= MAX_UNITS == 4096
    assert table.estimated_count == len(table) << table.level
    assert table.estimated_count == pytest.approx(100_000, rel=0.08)


def test_a_small_table_counts_exactly() -> None:
    """As long as there is room, nothing is sampled."""
    table = first_outcomes()
    for unit in range(0, 2**64, 2**52):
        table.put(unit, (1.0, 0, 0.5, True, False, True))
    assert (len(table), table.level, table.estimated_count) == (4096, 0, 4096)
    table.put(2**64 - 1, (1.0, 0, 0.5, True, False, True))
    assert (len(table), table.level, table.estimated_count) == (2048, 1, 4096)


@both_kinds
def test_tables_are_equal_by_level_and_values(make: Make) -> None:
    """A table that sampled knows less than one that saw only what is left."""
    sampled = table_of([(unit << 55, (0.0, 0.5)) for unit in range(512)], make)
    remaining = table_of(list(sampled.items()), make)
    assert remaining.level < sampled.level
    assert remaining != sampled
    assert sampled != dict(sampled.items())


def contents(table: Table) -> Any:
    """What a table of either kind is restored from."""
    return table.groups if isinstance(table, FailingUnits) else dict(table.items())


@both_kinds
@given(ENTRIES)
def test_contents_can_be_restored(make: Make, entries: list[tuple[int, Any]]) -> None:
    """A table that takes over level and values goes on as the one they came from."""
    table, twin = table_of(entries, make), make()
    twin.restore(table.level, contents(table))
    assert twin == table
    assert twin.limit == table.limit
    for unit in range(20):
        twin.put(unit, (0.5, None))
        table.put(unit, (0.5, None))
    assert twin == table


@both_kinds
@pytest.mark.parametrize(
    ("level", "units", "message"),
    [
        (-1, [1], r"level in \[0, 64\].*got level -1"),
        (65, [], r"level in \[0, 64\].*got level 65"),
        (0, range(ROOM + 1), "at most 8 units, got level 0 and 9 units"),
        (1, [5, 2**63], "units at level 1 must be below 9223372036854775808, got 9223372036854775808"),
    ],
)
def test_contents_that_no_table_can_have_are_refused(make: Make, level: int, units: Any, message: str) -> None:
    """The table stays as it was."""
    table: Any = table_of([(3, (0.0, 0.5))], make)
    values: Any = dict.fromkeys(units, (0.0, 0.5)) if make is plain else {(0.0, 0.5): units}
    with pytest.raises(ValueError, match=message):
        table.restore(level, values)
    assert table == table_of([(3, (0.0, 0.5))], make)


@given(ENTRIES, ENTRIES)
def test_a_large_table_unites_in_steps(some: list[tuple[int, Any]], others: list[tuple[int, Any]]) -> None:
    """A pause is made after each of them, and the size of the steps makes no difference."""
    steps: list[int] = []
    table, other = table_of(some), table_of(others)
    table.merge(other, steps.append)
    assert table == table_of(some + others)
    assert sum(steps) >= len(other)


def test_units_are_the_last_eight_bytes_of_digests() -> None:
    """Big-endian, on every host."""
    digests = [bytes(range(16)), bytes(15) + b"\x07", b"\xff" * 16]
    assert list(units_of(b"".join(digests))) == [0x08090A0B0C0D0E0F, 7, 2**64 - 1]
    assert list(units_of(b"")) == []
