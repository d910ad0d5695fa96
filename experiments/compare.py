"""Compare tracked runs: which option wins, by how much, and is that more than chance?

python -m experiments.compare study=towers
python -m experiments.compare experiment=[corpus_conv1d,corpus_bilstm] metric=accuracy output=FOLDER
python -m experiments.compare runs=[ID,ID]
python -m experiments.compare tag.data="corpus en by intent" filter="params.tower = 'dense'"
python -m experiments.compare --readme

The page goes to the run of the study, or else to a new run of kind "comparison".
"""

import sys
from pathlib import Path

from siamese.commands.arguments import program_settings
from siamese.commands.errors import report_user_errors

RESULTS = "experiments/RESULTS.md"


def main() -> None:
    """Compare, or rebuild the tables of results."""
    words = [f"readme={RESULTS}" if word == "--readme" else word for word in sys.argv[1:]]
    settings = program_settings("compare", __doc__, words)
    if settings["readme"]:
        from experiments.readme_results import rebuild  # imports Hydra, which only this needs
        from siamese import tracking

        tracking.open_store(settings["tracking.uri"], settings["tracking.experiment"])
        rebuild(Path(settings["readme"]).expanduser())
    else:
        from experiments.compare_runs import run  # imports MLflow, which help does not need

        run(settings)


if __name__ == "__main__":
    with report_user_errors():
        main()
