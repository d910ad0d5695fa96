"""Learning: from a composed config to a network, and from pairs to a trained one."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from siamese.data.pairs import PairSplits
from siamese.training import building, pipeline
from siamese.training.building import Built
from siamese.training.pipeline import Trained


def build_network(cfg: DictConfig, questions: Sequence[str], strategy: Any = None, seed: int | None = None) -> Built:
    """The network of a config before its first step, with the seed of the config or another.

    The other arguments are those of `building.build`, the errors as well.
    """
    parts = {part: instantiate(cfg[part], _convert_="all") for part in ("text", "vectors", "tower", "similarity")}
    encoder = instantiate(cfg.encoder, _convert_="all") or None
    beside = {name: cfg[name] for name in ("start", "encoder_scale", "dimension")}
    choices = {"encoder": encoder, **beside, **parts}
    return building.build(questions, cfg.seed if seed is None else seed, strategy, **choices)


def learn(
    cfg: DictConfig,
    built: Built,
    splits: PairSplits,
    seed: int,
    training: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    **hooks: Any,
) -> Trained:
    """Train a network with the loss, weights, optimizer and evaluation of a config.

    Args:
        built, splits, seed: as in `pipeline.train_built`.
        training: the settings that `training=auto` chose among them.
        evaluation: arguments of the evaluation beside those of the config.
        hooks: on_epoch, on_best and saved, as in `pipeline.train_built`.
    """
    build = partial(instantiate, _convert_="all")
    return pipeline.train_built(
        built,
        splits,
        seed,
        loss=build(cfg.loss),
        weighting=build(cfg.weighting),
        optimizer=partial(build(cfg.optimizer), build(cfg.schedule)),
        evaluate=partial(build(cfg.evaluation), **evaluation),
        **training,
        **hooks,
    )
