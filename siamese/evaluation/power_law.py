"""Power law: how the error falls with the number of training pairs, and what that foretells for more of them.

error = a · n⁻ᵇ, a line in logarithms, as learning curves of deep networks were found to be over orders of magnitude (Hestness et
al. 2017). The law has no floor: where labels are noisy the curve must bend at last, so a forecast far beyond the largest
training is a bound more than an expectation.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

FEWEST_SIZES = 3  # two always lie on a line
TAIL = 0.025  # on either side of a 95 % interval


@dataclass(frozen=True)
class Forecast:
    """An error and the 95 % interval of one more training."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class PowerLaw:
    """A fitted law, log error = intercept - exponent · log pairs.

    Attributes:
        intercept, exponent: of the law; the exponent is above 0 where more pairs help.
        reach: half the 95 % interval of the exponent; infinite if the trainings are as few as the parameters.
        scatter: standard deviation of the logarithms of the errors around the law.
        trainings: that it was fitted to.
        center, spread: mean of the logarithms of their pairs, and the sum of squares around it.
    """

    intercept: float
    exponent: float
    reach: float
    scatter: float
    trainings: int
    center: float
    spread: float

    def forecast(self, pairs: float) -> Forecast:
        """The error of one more training with so many pairs, and its 95 % prediction interval (Draper & Smith 1998, 3.1).

        The interval is for another seed and for the uncertainty of the law, not for other pairs to measure on.
        """
        x = np.log(pairs)
        value = self.intercept - self.exponent * x
        error = self.scatter * np.sqrt(1 + 1 / self.trainings + (x - self.center) ** 2 / self.spread)
        reach = stats.t.ppf(1 - TAIL, self.trainings - 2) * error if self.trainings > 2 else np.inf
        return Forecast(*(float(np.exp(each)) for each in (value, value - reach, value + reach)))


def fit(pairs: np.ndarray, error: np.ndarray) -> PowerLaw:
    """The law through trainings of several sizes, by least squares of the logarithms.

    Args:
        pairs: `float64[trainings]`, the number of training pairs of each, at least 1.
        error: `float64[trainings]`, such as 1 - accuracy, above 0.

    Raises:
        ValueError: there are fewer than three sizes, or an error is not above 0.

    >>> law = fit(np.array([100, 1000, 10000]), np.array([0.4, 0.2, 0.1]))
    >>> round(law.exponent, 4), round(law.forecast(100_000).value, 4)
    (0.301, 0.05)
    """
    if len(np.unique(pairs)) < FEWEST_SIZES:
        raise ValueError(f"a power law needs trainings of {FEWEST_SIZES} sizes, got {len(np.unique(pairs))}")
    if not (np.asarray(error) > 0).all():
        raise ValueError(f"a power law needs errors above 0, got {np.min(error)}")
    x, y = np.log(np.asarray(pairs, np.float64)), np.log(np.asarray(error, np.float64))
    center, spread = x.mean(), np.sum((x - x.mean()) ** 2)
    slope = np.sum((x - center) * (y - y.mean())) / spread
    intercept = y.mean() - slope * center
    free = len(x) - 2
    scatter = np.sqrt(np.sum((y - intercept - slope * x) ** 2) / free)
    reach = stats.t.ppf(1 - TAIL, free) * scatter / np.sqrt(spread)
    return PowerLaw(float(intercept), float(-slope), float(reach), float(scatter), len(x), float(center), float(spread))
