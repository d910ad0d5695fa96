"""Mistakes in a config that show before TensorFlow starts, which takes seconds.

Whatever reads a setting checks it again, for those who call it from Python.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from siamese.commands.arguments import nearest
from siamese.evaluation.metrics import pair_metrics
from siamese.evaluation.thresholds import parse_criterion
from siamese.pretrained.encoders import NO_ENCODER

LIMITS = {  # settings, as patterns of their whole names -> where their numbers lie
    r"seed|data\.seed": "[0, inf)",
    r"training\.epochs": "[0, inf)",
    r"training\.(batch_size|patience)": "[1, inf)",
    r"training\.word_dropout|tower\.dropout|similarity\.dropout|schedule\.warmup_share": "[0, 1)",
    r"optimizer\.learning_rate|loss\.(.+\.)?(margin|temperature)|similarity\.scale|encoder_scale": "(0, inf)",
    r"optimizer\.momentum|loss\.(.+\.)?label_smoothing": "[0, 1)",
    r"loss\.second_weight": "[0, 1]",
    r"evaluation\.prior": "(0, 1)",
    r"teaching\.(networks|pairs|top_k)|dimension": "[1, inf)",
    r"vectors\.width|tower\.(width|units|filters|kernel_sizes|heads)|similarity\.(width|units)": "[1, inf)",
    r"vectors\.pull|text\.oov_buckets|evaluation\.bootstrap_repeats": "[0, inf)",
    r"text\.(max_length|min_frequency|vocabulary_size)|subset\.pairs": "[1, inf)",
}
WHOLE = r"teaching\..*|dimension|training\.(epochs|batch_size|patience)|subset\.pairs"  # of these, those that are whole
WORDS = {
    r"tower\.pooling": ("mean", "max"),
    r"tower\.normalization": ("none", "layer"),
    r"tower\.cell": ("lstm", "gru"),
    r"tower\.(bidirectional|shortcuts|positions)": (True, False),
    r"similarity\.power": (1, 2, 4, 8, 16, 32, 64),
    r"evaluation\.probes": (True, False, "en", "fr"),
    r"training\.precision": ("float32", "bfloat16"),
}
FILES = {r"vectors\.(path|words)": ("file", Path.is_file), r"(vectors\.)?encoder\.folder": ("folder", Path.is_dir)}


def check(config: dict[str, Any]) -> None:
    """Refuse what no training can use.

    Args:
        config: composed from conf/config.yaml, resolved. A value "auto" or null is left to what reads it.

    Raises:
        ValueError: a number is out of its range, a word is not known, a file is missing, or tower=encoder has no encoder.
    """
    ours = {
        group: node
        for group, node in config.items()
        if not isinstance(node, dict) or str(node.get("_target_", "siamese.")).startswith("siamese.")
    }  # a part of one's own may mean something else by the same name
    for group in ("tower", "training", "evaluation"):
        if not isinstance(config.get(group), dict):
            raise ValueError(f"{group} must be one of its options; got {config.get(group)!r}")
    in_order = config["tower"]["_target_"] == "siamese.model.towers.bilstm"
    known_words = WORDS | ({r"tower\.pooling": ("mean", "max", "last")} if in_order else {})
    for name, value in _nodes(ours):
        values = [each for each in (value if isinstance(value, list) else [value]) if each not in (None, "auto")]
        _check_numbers(name, values)
        for words in _of(known_words, name):
            if any(each not in tuple(words) for each in values):
                raise ValueError(f"{name} must be of {', '.join(map(str, words))}; got {value}")
        for kind, exists in _of(FILES, name):
            if not all(isinstance(each, str) and exists(Path(each).expanduser()) for each in values):
                raise ValueError(f"{name}: there is no {kind} {value}")
    _check_what_goes_together(config)
    monitor, known = str(config["training"]["monitor"]), pair_metrics(np.ones(1), np.ones(1), np.ones(1), 0.5)
    if monitor not in known and (near := nearest(monitor, known)):
        raise ValueError(f"training.monitor={monitor} is no metric; did you mean {near}?")


def _check_what_goes_together(config: dict[str, Any]) -> None:
    """Refuse a criterion and a prior, a tower and an encoder, or teachers and devices, that do not."""
    is_guaranteed = parse_criterion(config["evaluation"]["threshold"])[0] == "guarantee"
    if is_guaranteed and config["evaluation"].get("prior") is not None:
        raise ValueError(
            "threshold=guarantee@… holds for the share of duplicates of dev alone: leave out evaluation.prior"
        )
    if config["tower"]["_target_"] == "siamese.model.towers.encoder" and not config["encoder"]:
        raise ValueError(NO_ENCODER)
    if config["teaching"] and config["devices"]["_target_"] != "siamese.training.devices.single":
        raise ValueError("teachers are trained on one device: leave out teaching=, or devices=")


def _nodes(config: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting of a config with its whole name, mappings as well as what is in them: one may stand where a number should."""
    for key, value in config.items():
        yield f"{of}{key}", value
        if isinstance(value, Mapping):
            yield from _nodes(value, f"{of}{key}.")


def _check_numbers(name: str, values: Sequence[Any]) -> None:
    """Refuse what lies outside the limits of a setting."""
    for limits in _of(LIMITS, name):
        for each in values:
            if not isinstance(each, int | float):
                raise ValueError(f"{name} must be a number in {limits}, got {each!r}")
            if re.fullmatch(WHOLE, name) and not isinstance(each, int):
                raise ValueError(f"{name} must be a whole number, got {each}")
            if not _inside(float(each), limits):
                raise ValueError(f"{name} must lie in {limits}, got {each}")


def _of(table: Mapping[str, Any], name: str) -> list[Any]:
    """What a table by patterns has for a name."""
    return [each for pattern, each in table.items() if re.fullmatch(pattern, name)]


def _inside(number: float, limits: str) -> bool:
    """Whether a number lies in an interval.

    >>> _inside(0.0, "[0, 1)"), _inside(1.0, "[0, 1)"), _inside(float("nan"), "[0, inf)")
    (True, False, False)
    """
    low, high = map(float, limits[1:-1].split(", "))
    above = number >= low if limits[0] == "[" else number > low
    return above and (number <= high if limits[-1] == "]" else number < high)
