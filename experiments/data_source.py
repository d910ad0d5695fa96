"""The pairs that a config names, without TensorFlow and MLflow."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from hydra.utils import get_method, instantiate
from omegaconf import OmegaConf

from siamese.data.pairs import PairSplits
from siamese.data.reserved import with_reserved
from siamese.data.splits import require_both_kinds
from siamese.evaluation.guarantees import require_enough
from siamese.evaluation.thresholds import parse_criterion


def read(data: dict[str, Any], evaluation: Mapping[str, Any] = {}) -> PairSplits:
    """Read the pairs of a data config; consecutive runs of one config read them once.

    Where the threshold of the evaluation is to be guaranteed, half of dev is reserved for it.

    Raises:
        ValueError, OSError: a setting is of a wrong type, there are no pairs of both kinds, or a file or a row is not as the
            config says.
    """
    if data["_target_"].startswith("siamese."):
        kinds = get_type_hints(get_method(data["_target_"]))
        for name, value in data.items():
            if name in kinds and not _fits(value, kinds[name]):
                raise ValueError(f"data.{name} must be {_in_words(kinds[name])}, got {value!r}")
    splits = _read(json.dumps(data, sort_keys=True))
    criterion, precision = parse_criterion(evaluation.get("threshold", "best_accuracy"))
    if criterion != "guarantee":
        return splits
    splits = with_reserved(splits)
    assert splits.reserved is not None
    require_enough(splits.reserved.duplicate, precision)
    return splits


@lru_cache(maxsize=1)
def _read(data: str) -> PairSplits:
    splits = instantiate(OmegaConf.create(json.loads(data)), _convert_="all")()
    require_both_kinds(splits)
    return splits


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of a config is of an annotated type; a number is finite, and true is none."""
    if kind is float:
        return _fits(value, int) or (isinstance(value, float) and math.isfinite(value))
    if kind is int:
        return type(value) is int
    if get_origin(kind) is Sequence:
        return isinstance(value, list) and all(_fits(each, get_args(kind)[0]) for each in value)
    if get_args(kind):
        return any(_fits(value, each) for each in get_args(kind))
    return isinstance(value, kind)


def _in_words(kind: Any) -> str:
    """An annotated type in words.

    >>> _in_words(str | float | None), _in_words(Sequence[str])
    ('a text or a number or null', 'a list of texts')
    """
    if get_origin(kind) is Sequence:
        return f"a list of {_in_words(get_args(kind)[0]).removeprefix('a ')}s"
    if get_args(kind):
        return " or ".join(map(_in_words, get_args(kind)))
    return {str: "a text", float: "a number", int: "a whole number", bool: "true or false", NoneType: "null"}[kind]
