"""What a config starts from, found by its setting `start`."""

from typing import TYPE_CHECKING, Any, cast

from siamese.registry.start import Start, find_start

if TYPE_CHECKING:
    from omegaconf import DictConfig


def identified(config: dict[str, Any]) -> dict[str, Any]:
    """A composed config with the digest of a start of one's own, which its name does not tell.

    Raises:
        ValueError: there is no such start.
    """
    found = _find(config)
    return config if found is None else config | {"start_digest": found.digest}


def resolved(cfg: "DictConfig") -> "DictConfig":
    """A composed config whose start is a folder, or a shipped table. Errors as in `identified`."""
    from omegaconf import OmegaConf

    found = _find(OmegaConf.to_container(cfg, resolve=True))
    if found is not None:
        cfg = cast("DictConfig", OmegaConf.merge(cfg, {"start": str(found.folder)}))
    return cfg


def _find(config: Any) -> Start | None:
    return find_start(config["start"], config["tracking"]["uri"], config["tracking"]["experiment"])
