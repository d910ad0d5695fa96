"""python -m experiments.mine: see siamese/commands/mine.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.mine import main

if __name__ == "__main__":
    with report_user_errors():
        main()
