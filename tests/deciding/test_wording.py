"""Numbers as people read them."""

from __future__ import annotations

from math import inf, log

import pytest

from agent_canary.deciding import settling, wording


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (wording.percent(0, 0), "–"),
        (wording.percent(0, 7), "0 %"),
        (wording.percent(7, 7), "100 %"),
        (wording.percent(1, 30), "3.3 %"),
        (wording.percent(1, 400), "0.25 %"),
        (wording.percent(1, 100_000), "0.001 %"),
        (wording.odds(-0.1), "less than 1 to 1"),
        (wording.odds(log(7.84)), "7.8 to 1"),
        (wording.odds(log(1520.4)), "1,520 to 1"),
        (wording.odds(649.0), "10^282 to 1"),
        (wording.as_often(inf), "infinitely more often"),
        (wording.as_often(3.42), "3.4 times as often"),
        (wording.as_often(1.0), "1.0 times as often"),
        (wording.as_often(0.424), "0.42 times as often"),
        (wording.as_often(1234.0), "1,234 times as often"),
        (wording.answers(1), "1 answer"),
        (wording.users(12_345), "12,345 users"),
        (wording.duration(40), "40 seconds"),
        (wording.duration(2100), "35 minutes"),
        (wording.duration(6 * 3600), "6 hours"),
        (wording.duration(3 * 86_400), "3 days"),
        (wording.number(0.012345), "0.0123"),
        (wording.number(1420.0), "1,420"),
        (wording.signed(-0.05, 2), "−0.05"),
        (wording.signed(0.02, 2), "+0.02"),
        (wording.signed(-0.0001, 2), "0.00"),
        (wording.evidence(log(435.0), log(200.0)), "evidence 435 to 1, alarm from 200 to 1"),
        (wording.evidence(-0.1, log(200.0)), "no evidence yet, alarm from 200 to 1"),
        (wording.fewer_points(0.01), "less than 1 point"),
        (wording.fewer_points(0.025), "less than 2.5 points"),
        (str(wording.decimals_of(0.83)), "2"),
        (str(wording.decimals_of(4.2)), "1"),
        (str(wording.decimals_of(86.0)), "0"),
        (str(wording.decimals_of(0.0)), "2"),
        (wording.points(0.0321, 0.011), "+3.2 ± 1.1 points"),
        (wording.points(0.14, 0.071), "+14 ± 7 points"),
    ],
)
def test_numbers_are_said_with_the_digits_they_deserve(said: str, words: str) -> None:
    """Few enough to read, many enough to see a small one."""
    assert said == words


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ((2.9, 1000, 1000, 0.8), "about 1,900 more canary users, some 40 minutes at the present rate, would settle it"),
        ((2.9, 1000, 0, 0.0), "about 1,900 more canary answers would settle it"),
        ((1.05, 10, 10, 0.1), "about 1 more canary user, some 6 seconds at the present rate, would settle it"),
        ((2.0, 200, 300, 0.0), "about 200 more canary users would settle it"),
        ((2.0, 600, 300, 0.0), "about 600 more canary answers would settle it"),
        ((1.5, 9, 9, 1.0), ""),
        ((1.0, 1000, 1000, 1.0), ""),
        ((inf, 1000, 1000, 1.0), ""),
        ((31.0, 1000, 1000, 1.0), ""),
        ((2.0, 0, 0, 1.0), ""),
    ],
)
def test_what_would_settle_it_is_said_where_somebody_can_know(of: tuple[float, int, int, float], words: str) -> None:
    """In users where there are any, and in time where answers come."""
    assert settling.words(*of) == words
