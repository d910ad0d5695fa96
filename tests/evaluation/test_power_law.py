"""Power laws of errors: recovered where they hold, with intervals that hold as often as they say."""

import numpy as np
import pytest

from siamese.evaluation.power_law import fit

SIZES = np.repeat([1_000, 2_000, 4_000, 8_000, 16_000], 3)


def test_an_exact_law_is_found_and_foretold():
    law = fit(SIZES, 0.9 * SIZES**-0.25)
    assert (law.exponent, np.exp(law.intercept)) == pytest.approx((0.25, 0.9))
    found = law.forecast(64_000)
    assert (found.low, found.value, found.high) == pytest.approx([0.9 * 64_000**-0.25] * 3)


def test_intervals_hold_as_often_as_they_say():
    generator, law, within, covered = np.random.default_rng(0), 0.9 * SIZES**-0.2, 0, 0
    for _ in range(2_000):
        found = fit(SIZES, law * np.exp(generator.normal(0, 0.05, len(SIZES))))
        new = 0.9 * 64_000**-0.2 * np.exp(generator.normal(0, 0.05))
        foretold = found.forecast(64_000)
        within += foretold.low <= new <= foretold.high
        covered += abs(found.exponent - 0.2) <= found.reach
    assert [within / 2_000, covered / 2_000] == pytest.approx([0.95, 0.95], abs=0.015)


def test_farther_away_less_is_known():
    law = fit(SIZES, 0.9 * SIZES**-0.2 * np.exp(np.random.default_rng(1).normal(0, 0.05, len(SIZES))))
    widths = [np.log(each.high / each.low) for each in map(law.forecast, (4_000, 64_000, 1_000_000))]
    assert widths == sorted(widths)
    assert widths[0] < widths[2] / 1.5


@pytest.mark.parametrize(
    ("pairs", "error", "problem"),
    [
        ([10, 20, 20], [0.2, 0.1, 0.1], "a power law needs trainings of 3 sizes, got 2"),
        ([10, 20, 40], [0.2, 0.1, 0.0], "a power law needs errors above 0, got 0.0"),
    ],
)
def test_what_has_no_law_is_refused(pairs, error, problem):
    with pytest.raises(ValueError, match=problem):
        fit(np.array(pairs), np.array(error))
