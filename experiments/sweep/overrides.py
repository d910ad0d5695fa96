"""Overrides: the plain command that composes a given config.

A sweep file is an overlay on the config of `experiments.train`. Its winner is trained without it, so its settings are
translated into overrides of `experiments.train`.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from siamese.commands.config_files import dotted

NO_TEXT = ("true", "false", "null", "nan", "inf")  # words that Hydra's grammar reads as something else


def plain_overrides(primary: str, overrides: Sequence[str], without: str) -> list[str]:
    """The overrides of conf/config.yaml equivalent to `overrides` of another primary config.

    That config has conf/config.yaml among its defaults, and a node more, `without`.

    Raises:
        ValueError: an override removes something, which has no plain form.
    """
    wanted = compose(primary, overrides=list(overrides), return_hydra_config=True)
    choices = compose("config", return_hydra_config=True).hydra.runtime.choices
    plain = [
        f"{group}={option}"
        for group, option in wanted.hydra.runtime.choices.items()
        if group in choices and not group.startswith("hydra/") and option != choices[group]
    ]
    own = (without, "hydra")
    target = {name: value for name, value in _leaves(wanted).items() if name.partition(".")[0] not in own}
    base = _leaves(compose("config", overrides=plain))
    plain += [
        f"{'' if name in base else '+'}{name}={as_text(value)}"
        for name, value in target.items()
        if name not in base or base[name] != value
    ]
    if _leaves(compose("config", overrides=plain)) != target:
        raise ValueError(f"only overrides that set values can be written as a plain command; got {' '.join(overrides)}")
    return plain


def _leaves(cfg: DictConfig) -> dict[str, Any]:
    """Values by their dotted names, interpolations as they are written; lists and empty nodes are values."""
    return dotted(cast(dict, OmegaConf.to_container(cfg)))


def as_text(value: Any) -> str:
    """A value as Hydra's grammar reads it; a plain word stays without quotes.

    >>> as_text("layer"), as_text(["mean", 300]), as_text(None), as_text("a b")
    ('layer', '[mean,300]', 'null', '"a b"')
    """
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w./:-]*", value) and value.lower() not in NO_TEXT:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
