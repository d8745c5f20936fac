"""The comparison of evidence: its quick arithmetic is that of the plain one, and its table has every canary."""

from __future__ import annotations

import pytest

from validation.randomisation import Unit, log_e_randomisation

numpy = pytest.importorskip("numpy")

from validation import compare_evidence  # noqa: E402
from validation.users import Users  # noqa: E402


def test_the_draw_is_judged_as_the_plain_formula_says() -> None:
    """Half way through a rollout, the evidence from arrays is that from a list of users."""
    case = compare_evidence.Case("", Users(300, 1.0, 0.2), 0.1, 0.3)
    rollout = compare_evidence.Rollout(case, numpy.random.default_rng(5))
    looks = rollout.looks()
    for _ in range(100):
        next(looks)
    columns = zip(rollout.buckets, rollout.answers.T, rollout.bad.T, strict=True)
    units = [Unit(bucket, answers.tolist(), bad.tolist()) for bucket, answers, bad in columns]
    expected = log_e_randomisation(compare_evidence.SHARES, units)
    assert expected > 1.0
    assert rollout.log_e_draw() == pytest.approx(expected, rel=1e-9)


def test_the_table_has_a_row_for_every_canary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rollout of the first and the sixth canary: the harmless one goes on, the other is failed by all methods."""
    monkeypatch.setattr(compare_evidence, "CASES", (compare_evidence.CASES[0], compare_evidence.CASES[5]))
    monkeypatch.setattr("sys.argv", ["compare_evidence", "--runs", "1"])
    compare_evidence.main()
    harmless, harmful = capsys.readouterr().out.splitlines()[-2:]
    assert harmless.count("| 0.0 ±") == harmful.count("| 100.0 ±") == len(compare_evidence.METHODS)
