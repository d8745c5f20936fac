"""Agreement with reference vectors that other software computed: 50-digit decimals, scipy and numpy on raw data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agent_canary.statistics import (
    CLUSTERS,
    HARM_RATIOS,
    AnswerSums,
    ArmSums,
    BoundedMean,
    Stratum,
    bounded_mean,
    contrast,
    contrast_of_answers,
    log_e_margin,
    log_e_one_sided,
    log_e_sample_ratio,
    log_e_two_sided,
    log_e_value,
    log_likelihood_ratios,
    log_mean_exp,
    radius,
)

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


@pytest.mark.parametrize("vector", VECTORS["latency_quantile"])
def test_exceedances_of_past_quantiles_agree_with_whole_histories(vector: dict[str, Any]) -> None:
    """Answers slower than stable's past p95 as failures of the exact test give the log e-value of each history."""
    past: Counter[int] = Counter()
    sums = [0.0] * len(HARM_RATIOS)
    for canary, stable in vector["input"]["slices"]:
        if past.total() >= 100:
            limit = bucket_of_quantile(past, 0.95)
            ratios = log_likelihood_ratios(
                sum(canary.values()),
                count_above(canary, limit + vector["input"]["shift"]),
                sum(stable.values()),
                count_above(stable, limit),
                1.0,
            )
            sums = [total + ratio for total, ratio in zip(sums, ratios, strict=True)]
        past.update({int(bucket): count for bucket, count in stable.items()})
    assert log_mean_exp(sums) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["margin_tlg"])
def test_margin_agrees_with_scipys_projection(vector: dict[str, Any]) -> None:
    """The log e-value of each slice is that of scipy's binomial law at the point of the line that scipy finds."""
    assert log_e_margin(*vector["input"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["acs_two_sided_loge"])
def test_two_sided_evidence_agrees_with_scipy(vector: dict[str, Any]) -> None:
    """The log evidence is that of scipy's normal densities."""
    assert log_e_two_sided(*vector["input"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["acs_one_sided_loge"])
def test_one_sided_evidence_agrees_with_scipy(vector: dict[str, Any]) -> None:
    """The log evidence is that of scipy's integral over the half-normal mixture."""
    assert log_e_one_sided(*vector["input"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["acs_radius"])
def test_radius_agrees_with_scipys_root(vector: dict[str, Any]) -> None:
    """The radius is where scipy finds the log evidence equal to log(1 / alpha)."""
    assert radius(*vector["input"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["diff_safe_var"])
def test_guarded_variance_agrees_with_raw_data(vector: dict[str, Any]) -> None:
    """The variance of independent answers is the guarded one of numpy on the raw data."""
    canary, stable = (AnswerSums(*sums[:3]) for sums in vector["input"])
    found = contrast_of_answers([(canary, stable)])
    assert found is not None
    assert found.variance == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("index", range(6))
def test_adjusted_contrast_agrees_with_raw_data(index: int) -> None:
    """With answers that are independent of their clusters, the contrast with a covariate is numpy's on raw data."""
    difference, variance = VECTORS["cuped_diff"][index], VECTORS["cuped_var"][index]
    arms = [rows_with(*sums) for sums in variance["input"]]
    found = contrast([Stratum(spread(arms[0], first=0), spread(arms[1], first=32))])
    assert found is not None
    assert found.difference == pytest.approx(difference["reference"], abs=1e-9)
    (of_canary, of_stable), left = adjusted_scatters(arms)
    n_c, n_s = (len(arm) for arm in arms)
    sampled = of_canary / (n_c * (n_c - 1)) + of_stable / (n_s * (n_s - 1))
    assert sampled == pytest.approx(variance["reference"], abs=1e-9)
    unbiased = CLUSTERS / (CLUSTERS - 1)
    least = max(unbiased * (of_canary + of_stable) / (n_c + n_s), left * variance_of([*arms[0], *arms[1]]))
    assert found.variance == pytest.approx(max(unbiased * of_canary / n_c, least) / n_c + unbiased * of_stable / n_s**2)


@pytest.mark.parametrize("vector", VECTORS["bounded_mean_eb"])
def test_bounded_mean_agrees_with_raw_data(vector: dict[str, Any]) -> None:
    """The log e-value after all slices is that of numpy on the raw data."""
    state = BoundedMean()
    for canary_n, canary_y, canary_yy, stable_n, stable_y, stable_yy in vector["input"]["slices"]:
        slice_ = (AnswerSums(canary_n, canary_y, canary_yy), AnswerSums(stable_n, stable_y, stable_yy))
        state = bounded_mean.advance(state, slice_, vector["input"]["delta"])
    assert state.log_e == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["srm_dirichlet"])
def test_sample_ratio_agrees_with_scipys_beta_binomial(vector: dict[str, Any]) -> None:
    """The log e-value is that of scipy's Dirichlet-multinomial law."""
    assert log_e_sample_ratio(*vector["input"]) == pytest.approx(vector["reference"], abs=1e-9)


@pytest.mark.parametrize("vector", VECTORS["bucket_var"])
def test_hash_bucket_variance_agrees_with_numpy(vector: dict[str, Any]) -> None:
    """Against a stable that never fails, the variance of the difference is that of the canary's rate alone."""
    answers, failures = zip(*vector["input"], strict=True)
    found = contrast([Stratum(ArmSums(answers, failures), ArmSums([1e9] * CLUSTERS, [0] * CLUSTERS))])
    assert found is not None
    assert found.variance == pytest.approx(vector["reference"], abs=1e-9, rel=1e-9)


def bucket_of_quantile(histogram: Counter[int], q: float) -> int:
    """The bucket with the value of rank q * count."""
    seen = 0
    for bucket, count in sorted(histogram.items()):
        seen += count
        if seen >= q * histogram.total():
            return bucket
    raise AssertionError("an empty histogram has no quantiles")


def count_above(histogram: dict[str, int], limit: int) -> int:
    """How many values are in buckets above the limit."""
    return sum(count for bucket, count in histogram.items() if int(bucket) > limit)


Rows = list[tuple[float, float]]


def rows_with(n: int, y: float, yy: float, x: float, xx: float, xy: float) -> Rows:
    """Any n pairs (y, x) that have these sums: two patterns of ones, orthogonal and without a sum, scaled to fit."""
    first = [(1.0, -1.0, 0.0, 0.0)[i] if i < 4 else 0.0 for i in range(n)]
    second = [(0.0, 0.0, 1.0, -1.0)[i] if i < 4 else 0.0 for i in range(n)]
    s_yy, s_xx, s_xy = yy - y * y / n, xx - x * x / n, xy - x * y / n
    of_x = (s_xx / 2.0) ** 0.5
    along = s_xy / s_xx * of_x
    beside = ((s_yy - s_xy**2 / s_xx) / 2.0) ** 0.5
    return [(y / n + along * a + beside * b, x / n + of_x * a) for a, b in zip(first, second, strict=True)]


def spread(rows: Rows, first: int) -> ArmSums:
    """The rows over the clusters; the four that are not average alone, each in a cluster that the other arm leaves."""
    columns = [[0.0] * CLUSTERS for _ in range(4)]
    for i, (y, x) in enumerate(rows):
        cluster = (first + i if i < 4 else 8 + i % 24) % CLUSTERS
        for column, value in zip(columns, (1.0, y, y * y, x), strict=True):
            column[cluster] += value
    n, y_sums, yy, x_sums = columns
    return ArmSums(n, y_sums, yy, n, x_sums)


def adjusted_scatters(arms: list[Rows]) -> tuple[list[float], float]:
    """The squared distances from the regression with one slope, in each arm, and which share of all they are."""
    centred = [
        [(y - sum(row[0] for row in arm) / len(arm), x - sum(row[1] for row in arm) / len(arm)) for y, x in arm]
        for arm in arms
    ]
    theta = sum(y * x for arm in centred for y, x in arm) / sum(x * x for arm in centred for _, x in arm)
    scatters = [sum((y - theta * x) ** 2 for y, x in arm) for arm in centred]
    return scatters, sum(scatters) / sum(y * y for arm in centred for y, _ in arm)


def variance_of(rows: Rows) -> float:
    """The sample variance of the values."""
    mean = sum(y for y, _ in rows) / len(rows)
    return sum((y - mean) ** 2 for y, _ in rows) / (len(rows) - 1)
