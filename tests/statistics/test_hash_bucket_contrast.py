"""The difference of two means over hash buckets: by its definition, without order or scale, guarded where needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_canary.statistics import CLUSTERS, ArmSums, Contrast, Stratum, contrast

UNBIASED = CLUSTERS / (CLUSTERS - 1)
SEEDS = st.integers(0, 2**32)
RATIOS = st.sampled_from([1.0, 1.2, 3.0])


def arm_of(random: Random, answers: int, covariates: float = 0.0) -> ArmSums:
    """Answers at random: some clusters have many and some none, and some answers have a covariate."""
    n, y, yy, m, x = ([0.0] * CLUSTERS for _ in range(5))
    moods = [random.gauss(0.0, 0.5) for _ in range(CLUSTERS)]
    activity = [random.lognormvariate(0.0, 0.7) for _ in range(CLUSTERS)]
    for cluster in random.choices(range(CLUSTERS), weights=activity, k=answers):
        value = random.gauss(3.0 + moods[cluster], 1.0)
        n[cluster] += 1
        y[cluster] += value
        yy[cluster] += value * value
        if random.random() < covariates:
            m[cluster] += 1
            x[cluster] += 1.0 + 0.8 * value + random.gauss(0.0, 0.5)
    return ArmSums(n, y, yy, m, x) if covariates else ArmSums(n, y, yy)


def strata_of(seed: int, covariates: float = 0.0) -> list[Stratum]:
    """One to four strata of 100 to 1,000 answers an arm."""
    random = Random(seed)
    return [
        Stratum(*(arm_of(random, random.randrange(100, 1000), covariates) for _ in range(2)))
        for _ in range(random.randrange(1, 5))
    ]


def judged(strata: list[Stratum], ratio: float = 1.0) -> Contrast:
    """The contrast of strata of which some have both arms."""
    found = contrast(strata, ratio)
    assert found is not None
    return found


def mapped(strata: list[Stratum], change: dict[str, float]) -> list[Stratum]:
    """The same answers in another unit: value -> scale * value + shift."""
    scale, shift = change["scale"], change["shift"]

    def arm(sums: ArmSums) -> ArmSums:
        assert sums.yy is not None
        rows = list(zip(sums.n, sums.y, sums.yy, strict=True))
        y = [scale * value + shift * n for n, value, _ in rows]
        yy = [scale**2 * square + 2.0 * scale * shift * value + shift**2 * n for n, value, square in rows]
        return replace(sums, y=y, yy=yy)

    return [Stratum(arm(stratum.canary), arm(stratum.stable)) for stratum in strata]


def bernoulli(answers: list[int], failures: list[int]) -> ArmSums:
    """0/1 outcomes: as many failures as given in each cluster."""
    return ArmSums(answers, failures)


def variance_by_definition(strata: list[Stratum], ratio: float) -> float:
    """The guarded variance, straight from its formulas."""
    total, influence, stagewise = 0.0, [0.0] * CLUSTERS, 0.0
    for stratum in strata:
        (n_c, res_c), (n_s, res_s) = (residuals(arm) for arm in (stratum.canary, stratum.stable))
        w = n_c * n_s / (n_c + n_s)
        total += w
        influence = [a + w * (c / n_c - ratio * s / n_s) for a, c, s in zip(influence, res_c, res_s, strict=True)]
        v_c, v_s = (UNBIASED * sum(r * r for r in res) / n for n, res in ((n_c, res_c), (n_s, res_s)))
        n, y, yy = (sum(map(sum, columns)) for columns in columns_of(stratum))
        least = max((n_c * v_c + n_s * v_s) / (n_c + n_s), (yy - y * y / n) / (n - 1))
        if n_s < n_c:
            v_s = max(v_s, least)
        stagewise += w * w * (max(v_c, least) / n_c + ratio**2 * v_s / n_s)
    return max(UNBIASED * sum(a * a for a in influence), stagewise) / total**2


def residuals(arm: ArmSums) -> tuple[float, list[float]]:
    """Answers of an arm, and what each cluster's sum is above the mean."""
    mean = sum(arm.y) / sum(arm.n)
    return sum(arm.n), [y - mean * n for n, y in zip(arm.n, arm.y, strict=True)]


def columns_of(stratum: Stratum) -> list[list[Sequence[float]]]:
    """n, y and yy of both arms."""
    arms = (stratum.canary, stratum.stable)
    return [[arm.n for arm in arms], [arm.y for arm in arms], [arm.y if arm.yy is None else arm.yy for arm in arms]]


@given(SEEDS, RATIOS)
def test_difference_and_variance_are_what_their_formulas_say(seed: int, ratio: float) -> None:
    """Difference, means and guarded variance of random answers are those of a plain computation."""
    strata = strata_of(seed)
    found = judged(strata, ratio)
    weights = [1.0 / (1.0 / sum(s.canary.n) + 1.0 / sum(s.stable.n)) for s in strata]
    canary, stable = (
        sum(w * sum(arm.y) / sum(arm.n) for w, arm in zip(weights, arms, strict=True)) / sum(weights)
        for arms in ([s.canary for s in strata], [s.stable for s in strata])
    )
    assert (found.canary_mean, found.stable_mean) == pytest.approx((canary, stable))
    assert found.difference == pytest.approx(canary - ratio * stable)
    assert found.variance == pytest.approx(variance_by_definition(strata, ratio))
    assert found.canary_answers == sum(sum(s.canary.n) for s in strata)
    assert found.stable_answers == sum(sum(s.stable.n) for s in strata)


@given(SEEDS, st.sampled_from([0.0, 0.6, 1.0]), RATIOS, st.randoms(use_true_random=False))
def test_the_order_of_clusters_and_strata_does_not_matter(
    seed: int, covariates: float, ratio: float, random: Random
) -> None:
    """Clusters called by other numbers, and strata in another order, give the same contrast."""
    strata, order = strata_of(seed, covariates), list(range(CLUSTERS))
    random.shuffle(order)

    def renamed(arm: ArmSums) -> ArmSums:
        columns = (arm.n, arm.y, arm.yy, arm.m, arm.x)
        return ArmSums(*(None if column is None else [column[i] for i in order] for column in columns))  # type: ignore[arg-type]

    others = [Stratum(renamed(stratum.canary), renamed(stratum.stable)) for stratum in strata]
    random.shuffle(others)
    assert_same(judged(others, ratio), judged(strata, ratio))


def assert_same(found: Contrast, expected: Contrast) -> None:
    """All numbers agree."""
    for name in ("difference", "variance", "canary_mean", "stable_mean", "deviation", "design_effect"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-6, abs=1e-9), name
    assert found.canary_units_effective == pytest.approx(expected.canary_units_effective)
    assert (found.canary_answers, found.stable_answers) == (expected.canary_answers, expected.stable_answers)
    assert found.refusal == expected.refusal


@given(SEEDS, st.sampled_from([0.0, 0.6]))
def test_swapping_the_arms_mirrors_the_difference(seed: int, covariates: float) -> None:
    """Canary called stable and stable called canary: the difference has the other sign, the spread is the same."""
    strata = strata_of(seed, covariates)
    there, back = judged(strata), judged([Stratum(s.stable, s.canary) for s in strata])
    assert back.difference == pytest.approx(-there.difference, abs=1e-9)
    assert (back.canary_mean, back.stable_mean) == pytest.approx((there.stable_mean, there.canary_mean))
    assert back.deviation == pytest.approx(there.deviation)


@given(SEEDS, st.sampled_from([0.0, 0.6]), st.floats(0.01, 100.0), st.floats(-10.0, 10.0))
def test_the_unit_of_the_answers_does_not_matter(seed: int, covariates: float, scale: float, shift: float) -> None:
    """Scaled and shifted answers have the scaled difference, deviation and standard error, and nothing else changes."""
    strata = strata_of(seed, covariates)
    plain, other = judged(strata), judged(mapped(strata, {"scale": scale, "shift": scale * shift}))
    assert other.difference == pytest.approx(scale * plain.difference, rel=1e-6, abs=1e-9 * scale)
    assert sqrt(other.variance) == pytest.approx(scale * sqrt(plain.variance), rel=1e-6)
    assert other.deviation == pytest.approx(scale * plain.deviation, rel=1e-6)
    assert other.design_effect == pytest.approx(plain.design_effect, rel=1e-6)


@given(SEEDS, RATIOS)
def test_strata_cut_in_two_like_halves_leave_the_difference(seed: int, ratio: float) -> None:
    """The difference stays when strata are split evenly; the variance does not grow, and falls to half at most."""
    strata = strata_of(seed)
    halves = [Stratum(half(s.canary), half(s.stable)) for s in strata for _ in range(2)]
    whole, split = judged(strata, ratio), judged(halves, ratio)
    assert split.difference == pytest.approx(whole.difference)
    assert split.variance == pytest.approx(variance_by_definition(halves, ratio))
    assert 0.49 * whole.variance < split.variance < 1.01 * whole.variance


def half(arm: ArmSums) -> ArmSums:
    """Half of an arm's answers."""
    assert arm.yy is not None
    return ArmSums([n / 2 for n in arm.n], [y / 2 for y in arm.y], [yy / 2 for yy in arm.yy])


@given(st.integers(0, CLUSTERS - 1), st.integers(0, CLUSTERS - 1))
def test_a_failure_moved_to_the_canary_raises_the_difference(here: int, there: int) -> None:
    """One failure fewer on stable and one more on the canary: the canary looks worse."""
    canary, stable = [1] * CLUSTERS, [3] * CLUSTERS
    before = judged([Stratum(bernoulli([10] * CLUSTERS, canary), bernoulli([30] * CLUSTERS, stable))])
    canary[here] += 1
    stable[there] -= 1
    after = judged([Stratum(bernoulli([10] * CLUSTERS, canary), bernoulli([30] * CLUSTERS, stable))])
    assert after.difference > before.difference


def test_users_who_sit_in_every_stratum_count_once() -> None:
    """In ten strata with the same moody users, the variance is not ten times smaller than in one."""
    random = Random(3)
    stratum = Stratum(arm_of(random, 500), arm_of(random, 500))
    one, ten = judged([stratum]), judged([stratum] * 10)
    assert ten.difference == pytest.approx(one.difference)
    assert ten.variance == pytest.approx(UNBIASED * influence_of_one(stratum))
    assert ten.variance > 0.5 * one.variance


def influence_of_one(stratum: Stratum) -> float:
    """The sum of the squares of what each cluster does to the difference."""
    (n_c, res_c), (n_s, res_s) = residuals(stratum.canary), residuals(stratum.stable)
    return sum((c / n_c - s / n_s) ** 2 for c, s in zip(res_c, res_s, strict=True))


def test_arms_that_hide_each_others_moods_are_taken_for_independent() -> None:
    """Where a cluster's residuals cancel between the arms, the variance is that of independent arms."""
    moods = [1 if i % 2 else 9 for i in range(CLUSTERS)]
    same = bernoulli([10] * CLUSTERS, moods)
    found = judged([Stratum(same, same)])
    assert influence_of_one(Stratum(same, same)) == 0.0
    assert found.variance == pytest.approx(2.0 * UNBIASED * 64 * 16.0 / 640**2)
    assert found.design_effect == pytest.approx(found.variance / (2.0 / 640 * (0.25 * 1280 / 1279)))


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_a_canary_on_which_nothing_failed_yet_has_the_variance_of_both_arms(share: float) -> None:
    """No failure among the canary's answers is no proof that it cannot fail."""
    per_cluster = 100
    canary = bernoulli([round(share * per_cluster)] * CLUSTERS, [0] * CLUSTERS)
    stable = bernoulli([round((1.0 - share) * per_cluster)] * CLUSTERS, [i % 3 for i in range(CLUSTERS)])
    found = judged([Stratum(canary, stable)])
    n_c, n, failures = sum(canary.n), per_cluster * CLUSTERS, sum(stable.y)
    rate = failures / n
    assert found.variance >= rate * (1.0 - rate) / n_c


@pytest.mark.parametrize("share", [0.8, 0.95])
def test_a_small_stable_on_which_nothing_failed_yet_has_the_variance_of_both_arms(share: float) -> None:
    """Late in a ramp stable is the small arm, and its lack of failures no proof either."""
    per_cluster = 100
    canary = bernoulli([round(share * per_cluster)] * CLUSTERS, [i % 3 for i in range(CLUSTERS)])
    stable = bernoulli([round((1.0 - share) * per_cluster)] * CLUSTERS, [0] * CLUSTERS)
    found = judged([Stratum(canary, stable)])
    n_s, n, failures = sum(stable.n), per_cluster * CLUSTERS, sum(canary.y)
    rate = failures / n
    assert found.variance >= rate * (1.0 - rate) / n_s


def test_clusters_that_are_more_even_than_chance_have_the_variance_of_single_answers() -> None:
    """When every cluster has the same mix, the variance is that of independent answers, not 0."""
    even = bernoulli([20] * CLUSTERS, [2] * CLUSTERS)
    large = bernoulli([2000] * CLUSTERS, [200] * CLUSTERS)
    found = judged([Stratum(even, large)])
    assert found.variance == pytest.approx(0.09 / 1280, rel=1e-4)


def test_answers_that_are_all_alike_have_no_variance() -> None:
    """Nothing failed at all: variance and difference are 0, and the design effect is 1."""
    found = judged([Stratum(bernoulli([5] * CLUSTERS, [0] * CLUSTERS), bernoulli([50] * CLUSTERS, [0] * CLUSTERS))])
    assert (found.difference, found.variance, found.deviation, found.design_effect) == (0.0, 0.0, 0.0, 1.0)


def test_a_drift_that_both_arms_share_is_no_difference() -> None:
    """When both arms get worse while the share rises, strata keep the difference at 0; one stratum would not."""
    early = Stratum(bernoulli([1] * CLUSTERS, [0] * CLUSTERS), bernoulli([99] * CLUSTERS, [0] * CLUSTERS))
    late = Stratum(bernoulli([50] * CLUSTERS, [5] * CLUSTERS), bernoulli([50] * CLUSTERS, [5] * CLUSTERS))
    together = Stratum(bernoulli([51] * CLUSTERS, [5] * CLUSTERS), bernoulli([149] * CLUSTERS, [5] * CLUSTERS))
    assert judged([early, late]).difference == pytest.approx(0.0, abs=1e-12)
    assert judged([together]).difference > 0.05


def test_strata_without_both_arms_are_passed_over() -> None:
    """A stratum in which one arm has no answers says nothing, also about how many answers were compared."""
    nobody = bernoulli([0] * CLUSTERS, [0] * CLUSTERS)
    some = bernoulli([9] * CLUSTERS, [i % 4 for i in range(CLUSTERS)])
    assert contrast([Stratum(some, nobody), Stratum(nobody, some)]) is None
    assert contrast([]) is None
    assert contrast([Stratum(nobody, some), Stratum(some, some), Stratum(some, nobody)]) == contrast(
        [Stratum(some, some)]
    )


@given(SEEDS)
def test_a_covariate_takes_variance_out_and_leaves_what_it_measures(seed: int) -> None:
    """With covariates that go along with the answers the variance is smaller, and the difference still an estimate."""
    strata = strata_of(seed, covariates=1.0)
    plain = judged([Stratum(*(replace(arm, m=None, x=None) for arm in (s.canary, s.stable))) for s in strata])
    found = judged(strata)
    assert found.variance < 0.9 * plain.variance
    assert found.deviation == plain.deviation
    assert 0.4 < found.design_effect / plain.design_effect < 2.5
    assert abs(found.difference - plain.difference) < 6.0 * sqrt(plain.variance)
    assert found.difference == pytest.approx(found.canary_mean - found.stable_mean)


@given(SEEDS, st.floats(0.01, 100.0), st.floats(-100.0, 100.0))
def test_the_unit_of_the_covariate_does_not_matter(seed: int, scale: float, shift: float) -> None:
    """A covariate in another unit, known for some answers only, takes out the same."""
    strata = strata_of(seed, covariates=0.6)

    def arm(sums: ArmSums) -> ArmSums:
        assert sums.m is not None
        assert sums.x is not None
        return replace(sums, x=[scale * x + shift * m for m, x in zip(sums.m, sums.x, strict=True)])

    assert_same(judged([Stratum(arm(s.canary), arm(s.stable)) for s in strata]), judged(strata))


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_covariate_that_says_nothing_changes_nothing(value: float) -> None:
    """Known for nobody, or the same for everybody: the contrast is the one without it."""
    strata = strata_of(5)
    known = 1.0 if value else 0.0

    def arm(sums: ArmSums) -> ArmSums:
        return replace(sums, m=[known * n for n in sums.n], x=[value * n for n in sums.n])

    assert_same(judged([Stratum(arm(s.canary), arm(s.stable)) for s in strata]), judged(strata))


def test_users_without_a_covariate_count_as_average() -> None:
    """An answer without a covariate is treated as one whose covariate is the mean of its stratum."""
    strata = strata_of(8, covariates=0.5)
    canary, stable = strata[0].canary, strata[0].stable
    mean = sum((*(canary.x or ()), *(stable.x or ()))) / sum((*(canary.m or ()), *(stable.m or ())))

    def filled(arm: ArmSums) -> ArmSums:
        rows = zip(arm.n, arm.m or (), arm.x or (), strict=True)
        return replace(arm, m=arm.n, x=[x + mean * (n - m) for n, m, x in rows])

    assert_same(judged([Stratum(filled(canary), filled(stable))]), judged(strata[:1]))


def test_an_arm_whose_users_scored_higher_before_is_taken_down() -> None:
    """A difference that was there before the run is no effect of the canary."""
    before_c, before_s = [i % 5 + 1 for i in range(CLUSTERS)], [i % 5 for i in range(CLUSTERS)]
    ones = [1] * CLUSTERS
    canary = ArmSums(ones, before_c, [v * v for v in before_c], ones, before_c)
    stable = ArmSums(ones, before_s, [v * v for v in before_s], ones, before_s)
    assert judged([Stratum(replace(canary, m=None, x=None), replace(stable, m=None, x=None))]).difference == 1.0
    assert judged([Stratum(canary, stable)]).difference == pytest.approx(0.0, abs=1e-12)


def test_few_active_users_are_refused() -> None:
    """With answers in 23 clusters there are about 28 users: too few, on either arm; 24 clusters are enough."""
    many = bernoulli([10] * CLUSTERS, [i % 3 for i in range(CLUSTERS)])
    few, enough = (
        bernoulli([5 if i < clusters else 0 for i in range(CLUSTERS)], [0] * CLUSTERS) for clusters in (23, 24)
    )
    assert judged([Stratum(few, many)]).refusal == "too few active users on canary: about 28, at least 30"
    assert judged([Stratum(many, few)]).refusal == "too few active users on stable: about 28, at least 30"
    assert judged([Stratum(enough, many)]).refusal is None


def test_a_canary_whose_traffic_a_few_users_make_is_refused() -> None:
    """One user with a third of all answers: as good as nine equal ones."""
    whale = bernoulli([320 if i == 7 else 10 for i in range(CLUSTERS)], [1] * CLUSTERS)
    many = bernoulli([100] * CLUSTERS, [i % 3 for i in range(CLUSTERS)])
    found = judged([Stratum(whale, many)])
    assert found.canary_units_effective == pytest.approx(9.0, abs=0.5)
    assert found.refusal == "too few effective users on canary: about 9, at least 20"
    assert judged([Stratum(many, whale)]).refusal is None


def test_effective_users_are_those_of_all_strata_together() -> None:
    """A user who is alone in one stratum is not, once others have come in the next."""
    alone = Stratum(
        bernoulli([100 if i == 0 else 1 for i in range(CLUSTERS)], [0] * CLUSTERS),
        bernoulli([100] * CLUSTERS, [1] * CLUSTERS),
    )
    crowd = Stratum(bernoulli([100] * CLUSTERS, [1] * CLUSTERS), bernoulli([100] * CLUSTERS, [1] * CLUSTERS))
    assert judged([alone]).refusal is not None
    assert judged([alone, crowd, crowd]).refusal is None


def test_effective_users_are_never_more_than_answers() -> None:
    """Answers that lie more evenly than chance would have it count as one user each."""
    found = judged([Stratum(bernoulli([1] * CLUSTERS, [0] * CLUSTERS), bernoulli([9] * CLUSTERS, [1] * CLUSTERS))])
    assert found.canary_units_effective == CLUSTERS


def test_effective_users_are_estimated_from_clusters_alone() -> None:
    """For 40, 400 and 4,000 equal users, the estimates from 64 clusters are right on average."""
    random = Random(12)
    for users in (40, 400, 4000):
        estimates = []
        for _ in range(40):
            answers = [0] * CLUSTERS
            for _ in range(users):
                answers[random.randrange(CLUSTERS)] += 20
            others = bernoulli([9] * CLUSTERS, [1] * CLUSTERS)
            found = judged([Stratum(bernoulli(answers, [0] * CLUSTERS), others)])
            estimates.append(1.0 / found.canary_units_effective)
        assert len(estimates) / sum(estimates) == pytest.approx(users, rel=0.12)


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1001.0, float("nan")])
def test_an_impossible_ratio_is_refused(ratio: float) -> None:
    """The error names the range and what was found."""
    with pytest.raises(ValueError, match=r"ratio must be in \(0, 1000\], got"):
        contrast([], ratio)


def test_sums_of_another_shape_are_refused() -> None:
    """Every column has a number for each of 64 clusters, and a covariate has both of its columns."""
    with pytest.raises(ValueError, match="y must have 64 numbers, one for each cluster, got 63"):
        ArmSums([1] * 64, [0] * 63)
    with pytest.raises(ValueError, match="m and x must be given together"):
        ArmSums([1] * 64, [0] * 64, m=[1] * 64)
