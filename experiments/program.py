"""What all programs share: a user's mistake is told in a line, without a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException


def plain(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as dicts and lists, resolved; a value that is still missing is an error."""
    return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))


@contextmanager
def explain_mistakes() -> Iterator[None]:
    """Tell what the user can mend in one line with exit code 1; Ctrl-C gives 130.

    Other errors keep their traceback, and so do these with HYDRA_FULL_ERROR=1.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, TypeError, HydraException, OmegaConfBaseException) as mistake:
        misspelt = "unexpected keyword argument" in str(mistake)
        if os.environ.get("HYDRA_FULL_ERROR") or (isinstance(mistake, TypeError) and not misspelt):
            raise
        cause = mistake.__cause__ if isinstance(mistake, HydraException) and mistake.__cause__ else mistake
        sys.exit(f"error: {cause}\n(HYDRA_FULL_ERROR=1 shows where)")
