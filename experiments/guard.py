"""Did anything become slower? Processor time of small pieces of work against the figures of the repository.

python -m experiments.guard              (make benchmark-quick; under three minutes)
python -m experiments.guard update=true  writes the figures of this machine, after a change that is meant to change them

The exit code is 1 if a piece of work takes longer than its figure and the noise allow. On another processor than that of
the figures, or with another OPENBLAS_CORETYPE, nothing is judged.
"""

import os
from pathlib import Path

from siamese.commands.arguments import program_settings
from siamese.commands.errors import report_user_errors


def main() -> None:
    """Measure, print a table and judge."""
    settings = program_settings("guard", __doc__)
    if settings["repeats"] < 1:
        raise ValueError(f"repeats must be at least 1, got {settings['repeats']}")
    if hasattr(os, "sched_setaffinity"):  # not on macOS
        # one core: threads that wait for each other take processor time, more or less of it from run to run
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from experiments.benchmark import guard, machine  # reads the number of cores, and help does not need TensorFlow

    print(machine.in_words(), flush=True)
    result, verdicts = guard.run(settings["repeats"], Path(settings["reference"]), settings["update"])
    print(result.markdown())
    slower = [
        f"{each.name}: {each.ratio:.3g} times its yardstick, {each.allowed:.3g} are allowed (reference {each.reference:.3g})"
        for each in verdicts
        if each.is_slower
    ]
    if slower:
        raise SystemExit("slower than the reference:\n" + "\n".join(slower))


if __name__ == "__main__":
    with report_user_errors():
        main()
