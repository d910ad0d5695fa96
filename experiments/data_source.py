"""The pairs that a config names, without TensorFlow and MLflow."""

import json
from functools import lru_cache
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from siamese.data.pairs import PairSplits
from siamese.data.splits import require_both_kinds


def read(data: dict[str, Any]) -> PairSplits:
    """Read the pairs of a data config; consecutive runs of one config read them once.

    Raises:
        ValueError, OSError: there are no pairs of both kinds, or a file or a row is not as the config says.
    """
    return _read(json.dumps(data, sort_keys=True))


@lru_cache(maxsize=1)
def _read(data: str) -> PairSplits:
    splits = instantiate(OmegaConf.create(json.loads(data)), _convert_="all")()
    require_both_kinds(splits)
    return splits
