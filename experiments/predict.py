"""python -m experiments.predict: see siamese/commands/predict.py."""

from siamese.commands.errors import report_user_errors
from siamese.commands.predict import main

if __name__ == "__main__":
    with report_user_errors():
        main()
