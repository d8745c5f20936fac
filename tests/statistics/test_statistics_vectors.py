"""Agreement with reference vectors that other software computed: 50-digit decimals and scipy."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent_canary.statistics import log_e_value, log_likelihood_ratios, log_mean_exp

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["failing_users"])
def test_failing_users_agree_with_decimal_arithmetic(vector: dict[str, Any]) -> None:
    """The log e-value of each set of units is that of the 50-digit computation."""
    groups = Counter((lo, hi) for lo, hi in vector["input"]["units_lo_hi"])
    assert log_e_value(groups, vector["input"]["w0"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["failure_exact_mixture"])
def test_exact_conditional_agrees_with_scipy(vector: dict[str, Any]) -> None:
    """The log e-value of each slice is that from scipy's noncentral hypergeometric law."""
    canary_total, stable_total, canary_failures, stable_failures, tolerance = vector["input"]
    ratios = log_likelihood_ratios(canary_total, canary_failures, stable_total, stable_failures, tolerance)
    assert log_mean_exp(ratios) == pytest.approx(vector["reference"], abs=1e-9)
