"""python -m experiments.why: see siamese/commands/why.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.why import main

if __name__ == "__main__":
    with report_user_errors():
        main()
