"""Send what was logged while a tracking store was silent, and list the trainings that can be resumed.

python -m experiments.recover
python -m experiments.recover folder=elsewhere/outputs/unfinished
"""

from pathlib import Path

from siamese.commands.arguments import program_settings
from siamese.commands.errors import report_user_errors


def main() -> None:
    """Look through a folder, as the command line says.

    Raises:
        OSError: a tracking store is still silent.
    """
    settings = program_settings("recover", __doc__)
    folder = Path(settings["folder"]).expanduser()
    from experiments import unfinished  # MLflow takes seconds to import, and help does not need it
    from siamese.tracking import local_store

    trainings, waiting = unfinished.commands(folder), local_store.waiting(folder)
    if not trainings and not waiting:
        print(f"nothing waits in {folder}")
    for each, words in trainings.items():
        print(f"{each}: a training that was interrupted, or is under way; resume it with\n    {words}")
    for each in waiting:
        print(f"{each}: sent, {', '.join(f'run {run}' for run in local_store.recover(each))}", flush=True)


if __name__ == "__main__":
    with report_user_errors():
        main()
