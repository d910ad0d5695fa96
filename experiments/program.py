"""What all programs share: a user's mistake is told in a line, without a traceback."""

import os
import sys
from collections.abc import Callable
from typing import Any, cast

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as dicts and lists, resolved; a value that is still missing is an error."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))


def explain_mistakes(program: Callable[[], None]) -> None:
    """Run a program; what the user can mend is told in one line with exit code 1, Ctrl-C gives 130."""
    try:
        program()
    except KeyboardInterrupt:
        print("interrupted; the run is marked KILLED", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as mistake:
        _explain(mistake)
    except TypeError as mistake:
        if "unexpected keyword argument" not in str(mistake):
            raise
        _explain(mistake)


def _explain(mistake: BaseException) -> None:
    if os.environ.get("HYDRA_FULL_ERROR"):
        raise mistake
    cause = mistake.__cause__ if isinstance(mistake, HydraException) and mistake.__cause__ else mistake
    sys.exit(f"error: {cause}\n(HYDRA_FULL_ERROR=1 shows where)")
