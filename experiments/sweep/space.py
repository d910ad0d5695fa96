"""Space: the hyperparameters that a sweep varies, in Hydra's own notation.

    optimizer.learning_rate: tag(log, interval(1e-4, 1e-2))   a number between these, evenly on a log scale
    training.word_dropout: interval(0, 0.5)                   a number between these
    vectors.width: int(interval(50, 300))                     a whole number between these
    training.batch_size: range(64, 257, step=64)              64, 128, 192 or 256; the end is left out, as in Hydra
    tower.units: choice([300], [300, 300])                    one of these

A name is a path in the config, or a group of conf/ whose options are its choices.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from experiments.sweep.overrides import as_text
from siamese.tracking.provenance import current_name

Space = dict[str, BaseDistribution]
MEASURING = ("data", "evaluation", "seed", "baselines", "tracking")


def parse(notation: Mapping[str, str]) -> Space:
    """Optuna's distributions of a space.

    Choices become texts, as they would stand on a command line: Optuna stores no lists.

    >>> space = parse({"tower.units": "choice([300], [300, 300])", "tower.dropout": "interval(0, 0.5)"})
    >>> space["tower.units"].choices
    ('[300]', '[300,300]')
    >>> space["tower.dropout"].low, space["tower.dropout"].high
    (0.0, 0.5)

    Raises:
        ValueError: there is nothing to vary, a value is no space, or it would change what is measured.
    """
    if not notation:
        raise ValueError("sweep.space is empty; name at least one parameter, as conf/sweep/dense.yaml does")
    return {name: _parse_one(name, str(text)) for name, text in notation.items()}


def _parse_one(name: str, text: str) -> BaseDistribution:
    if name.partition(".")[0] in MEASURING:
        raise ValueError(
            f"sweep.space must not vary {name}: trials are compared on the same dev pairs, seed and measures; "
            f"set it for the whole sweep instead, as in {name}=…"
        )
    try:
        return _distribution(OverridesParser.create().parse_override(f"{name}={text}"))
    except (HydraException, ValueError, IndexError) as problem:
        raise ValueError(
            f"sweep.space.{name} must be one of choice(…), interval(low, high), range(start, stop) or these within "
            f"int(…) or tag(log, …); got {text}: {problem}"
        ) from None


def _distribution(override: Override) -> BaseDistribution:
    value: Any = override.value()
    step: dict[str, Any] = {}
    if isinstance(value, ChoiceSweep):
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    if isinstance(value, RangeSweep):
        members = list(value.range())
        low, high, step = members[0], members[-1], {"step": value.step}
    elif isinstance(value, IntervalSweep):
        # Hydra reads the ends of an interval as real numbers, unless it stands within int(…)
        low, high = value.start, value.end
    else:
        raise ValueError("that is none of them")
    kind = IntDistribution if isinstance(low, int) else FloatDistribution
    return kind(low, high, log="log" in value.tags, **step)


def check(space: Space, overrides: list[str]) -> None:
    """Compose the config with each choice and with both ends of each interval, those of all parameters side by side.

    Raises:
        ValueError: the config has no such parameter, or a group no such option.
    """
    columns = {name: _extremes(distribution) for name, distribution in space.items()}
    for row in range(max(map(len, columns.values()))):
        params = {name: values[row % len(values)] for name, values in columns.items()}
        try:
            compose("config", overrides=[*overrides, *as_overrides(params)])
        except (HydraException, OmegaConfBaseException) as problem:
            raise ValueError(f"sweep.space does not fit the config: {problem}") from None


def default(space: Space, overrides: list[str]) -> dict[str, Any]:
    """The parameters that the config has by itself; empty if one of them is not in the space."""
    cfg = compose("config", overrides=overrides, return_hydra_config=True)
    parser, params = OverridesParser.create(), {}
    for name, distribution in space.items():
        value = cfg.hydra.runtime.choices.get(name, OmegaConf.select(cfg, current_name(name)))
        if isinstance(distribution, CategoricalDistribution):
            plain = OmegaConf.to_container(value) if isinstance(value, ListConfig) else value
            # in the spelling of the choices
            value = parser.parse_override(f"{name}={as_text(plain)}").get_value_element_as_str()
            inside = value in distribution.choices
        else:
            low, high = _extremes(distribution)
            inside = isinstance(value, int | float) and low <= value <= high
        if not inside:
            return {}
        params[name] = value
    return params


def as_overrides(params: Mapping[str, Any]) -> list[str]:
    """Parameters of a trial as overrides of the config, numbers with the digits that a reader can use.

    >>> as_overrides({"tower.units": "[300,300]", "optimizer.learning_rate": 0.00206193})
    ['tower.units=[300,300]', 'optimizer.learning_rate=0.002062']
    """
    texts = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in params.items()}
    return [f"{current_name(name)}={text}" for name, text in texts.items()]


def combinations(space: Space) -> int:
    """The number of combinations that a grid over the space has.

    Raises:
        ValueError: an interval has no end of values.
    """
    return math.prod(len(_members(name, distribution)) for name, distribution in space.items())


def combination(space: Space, number: int) -> dict[str, Any]:
    """One combination of a grid; the last parameter varies fastest.

    >>> space = parse({"tower.units": "choice([8], [16])", "training.batch_size": "range(32, 97, step=32)"})
    >>> combinations(space), combination(space, 4)
    (6, {'tower.units': '[16]', 'training.batch_size': 64})
    """
    members = [_members(name, distribution) for name, distribution in space.items()]
    at = np.unravel_index(number, [len(values) for values in members])
    return {name: values[i] for name, values, i in zip(space, members, at, strict=True)}


def _extremes(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return [distribution.low, distribution.high]


def _members(name: str, distribution: BaseDistribution) -> list[Any]:
    match distribution:
        case CategoricalDistribution():
            return list(distribution.choices)
        case IntDistribution():
            return list(range(distribution.low, distribution.high + 1, distribution.step))
        case FloatDistribution(low=low, step=float(step)):
            return [low + step * at for at in range(round((distribution.high - low) / step) + 1)]
    raise ValueError(f"a grid needs choice(…) or range(…), but sweep.space.{name} is an interval without steps")
