"""What is measured: every cell makes sense, and nothing that was asked for is missing."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from agent_canary import Rollout
from validation.cell import Cell
from validation.groups import GROUPS, cells_of
from validation.traffic import draw, generator

CELLS = [pytest.param(cell, id=f"{group}: {cell.name}") for group in GROUPS for cell in cells_of(group)]


def test_no_two_cells_have_one_name() -> None:
    """Their seeds and results go by it."""
    names = Counter((group, cell.name) for group in GROUPS for cell in cells_of(group))
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_a_part_in_the_quick_run(group: str) -> None:
    """And not all of a large one."""
    cells = cells_of(group)
    quick = [cell for cell in cells if cell.quick]
    assert quick
    assert len(quick) < len(cells) or group == "goals"


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_can_be_run(cell: Cell) -> None:
    """Its plan is accepted, it can be sent to a process, and its alphas fall."""
    Rollout(cell.stages, rollback_on=cell.guardrails, **cell.policies)
    assert pickle.loads(pickle.dumps(cell)) == cell
    assert list(cell.alphas) == sorted(cell.alphas, reverse=True)
    assert [act.at for act in cell.acts] == sorted(act.at for act in cell.acts)
    for arm in cell.arms:
        if arm.failing.course:
            assert arm.failing.course[0][1] == arm.failing.rate


@pytest.mark.parametrize("cell", [each for each in CELLS if not each.values[0].harmless])
def test_a_harmful_canary_is_another_one(cell: Cell) -> None:
    """It does something that stable does not."""
    stable, canary = cell.arms
    assert stable != canary
    assert cell.alphas == (0.01,)


@pytest.mark.parametrize("cell", [each for each in CELLS if each.values[0].harmless and not each.values[0].canary])
def test_a_canary_like_stable_answers_like_it(cell: Cell) -> None:
    """In every request of a run."""
    traffic = draw(cell, generator(cell, 0))
    assert (traffic.stable.failed == traffic.canary.failed).all()
    assert (traffic.stable.seconds == traffic.canary.seconds).all()


def test_the_failure_rates_go_from_a_tenth_to_fifty_per_cent() -> None:
    """And there are 20 to 20,000 users, correlated by up to 0.6, of very unequal use."""
    cells = [cell for cell in cells_of("failures") if cell.harmless]
    rates = {cell.stable.failing.rate for cell in cells}
    assert (min(rates), max(rates)) == (0.001, 0.5)
    assert {20, 200, 2_000, 20_000} <= {cell.users.number for cell in cells}
    assert max(cell.users.correlation for cell in cells) == 0.6
    assert max(cell.users.sigma for cell in cells) == 2.0
    assert {0.7, 1.3, 2.0} <= {cell.arms[1].use for cell in cells}
