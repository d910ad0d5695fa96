"""python -m experiments.search: see siamese/commands/search.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.search import main

if __name__ == "__main__":
    with report_user_errors():
        main()
