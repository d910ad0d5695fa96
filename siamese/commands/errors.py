"""Errors of all programs: a user's mistake is reported in one line, without a traceback; and the signals that end them."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from siamese.commands.started import as_started, missing_package


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a program as Ctrl-C does: scratch files are removed, tracked runs are ended."""


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Report a user's mistake in one line with exit code 1; Ctrl-C gives 130; SIGTERM and SIGHUP end a program by themselves.

    Other errors keep their traceback; with HYDRA_FULL_ERROR=1 all do.
    """
    with _ended_by_signals(), _in_one_line():
        yield


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals end the block by exceptions, and the process by what it would have ended of at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    own = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is signal.SIG_DFL]
    for each in own:
        signal.signal(each, _terminate)
    if own:  # a script starts what it does not wait for with Ctrl-C ignored (`make train &`)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except Terminated as terminated:
        if not own:  # this block is inside another one
            raise
        signal.signal(terminated.args[0], signal.SIG_DFL)
        os.kill(os.getpid(), terminated.args[0])
    finally:
        for each in own:
            signal.signal(each, signal.SIG_DFL)


def _terminate(signum: int, frame: object) -> None:
    # `make` passes a signal on that its whole group has got: the second one must not stop the cleaning
    signal.signal(signum, lambda *_: None)
    raise Terminated(signum)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except Terminated:
        raise
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        # Python remembers an interrupt within code that came as a string, such as that of a dataclass, and would end by SIGINT
        exec("pass")
        sys.exit(130)
    except Exception as mistake:
        if os.environ.get("HYDRA_FULL_ERROR") or not _can_be_mended(mistake):
            raise
        # an error inside a function that Hydra calls is the cause of Hydra's own error
        cause = mistake.__cause__ if type(mistake).__module__ == "hydra.errors" and mistake.__cause__ else mistake
        if isinstance(cause, ModuleNotFoundError):
            sys.exit(f"error: {missing_package(cause)}")
        if isinstance(cause, RuntimeError):
            sys.exit("error: a path begins with ~ and the name of a user that this machine does not know")
        in_lines = type(cause).__module__.startswith(("hydra.", "omegaconf."))
        sys.exit(f"error: {' '.join(str(cause).split()) if in_lines else as_started(str(cause))}")


def _can_be_mended(mistake: Exception) -> bool:
    """Whether an error is of a type by which this project and Hydra report a user's mistake."""
    if isinstance(mistake, TypeError):
        return "unexpected keyword argument" in str(mistake)
    if isinstance(mistake, ModuleNotFoundError):
        return missing_package(mistake) is not None
    if type(mistake) is RuntimeError:
        return str(mistake) == "Could not determine home directory."  # of Path.expanduser
    names = {kind.__name__ for kind in type(mistake).__mro__}  # Hydra may not be installed
    return not names.isdisjoint({"ValueError", "OSError", "HydraException", "OmegaConfBaseException"})
