"""python -m experiments.encode: see siamese/commands/encode.py."""

from siamese.commands.encode import main
from siamese.commands.errors import report_user_errors

if __name__ == "__main__":
    with report_user_errors():
        main()
