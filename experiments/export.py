"""python -m experiments.export: see siamese/commands/export.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.export import main

if __name__ == "__main__":
    with report_user_errors():
        main()
