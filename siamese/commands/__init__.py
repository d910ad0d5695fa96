"""Commands: the programs that ask a trained model, and what they share.

Importing any of them lets Ctrl-C end a program in one line while it still imports others, which takes seconds.
"""

import sys
from types import TracebackType


def _report_interrupt(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.__excepthook__(kind, problem, trace)


sys.excepthook = _report_interrupt
