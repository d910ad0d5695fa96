"""python -m experiments.serve: see siamese/commands/serve.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.serve import main

if __name__ == "__main__":
    with report_user_errors():
        main()
