"""Errors of all programs: a user's mistake is reported in one line, without a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from siamese.commands.started import as_started, missing_package


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Report a user's mistake in one line with exit code 1; Ctrl-C gives 130.

    Other errors keep their traceback; with HYDRA_FULL_ERROR=1 all do.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as mistake:
        if os.environ.get("HYDRA_FULL_ERROR") or not _can_be_mended(mistake):
            raise
        # an error inside a function that Hydra calls is the cause of Hydra's own error
        cause = mistake.__cause__ if type(mistake).__module__ == "hydra.errors" and mistake.__cause__ else mistake
        if isinstance(cause, ModuleNotFoundError):
            sys.exit(f"error: {missing_package(cause)}")
        in_lines = type(cause).__module__.startswith(("hydra.", "omegaconf."))
        sys.exit(f"error: {' '.join(str(cause).split()) if in_lines else as_started(str(cause))}")


def _can_be_mended(mistake: Exception) -> bool:
    """Whether an error is of a type by which this project and Hydra report a user's mistake."""
    if isinstance(mistake, TypeError):
        return "unexpected keyword argument" in str(mistake)
    if isinstance(mistake, ModuleNotFoundError):
        return missing_package(mistake) is not None
    names = {kind.__name__ for kind in type(mistake).__mro__}  # Hydra may not be installed
    return not names.isdisjoint({"ValueError", "OSError", "HydraException", "OmegaConfBaseException"})
