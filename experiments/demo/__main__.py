"""Open a page on which two questions are compared and a collection is searched.

python -m experiments.demo                                  # the champion or the last training, shipped questions
python -m experiments.demo run=models:/duplicate-questions@champion index=faq.csv threshold=precision@0.9

Neither TensorFlow nor, unless a run id or a registry URI is given, MLflow is started.
"""

import sys
from pathlib import Path

import numpy as np
from uvicorn import Server

from experiments.demo.server import application
from siamese.commands.arguments import program_settings
from siamese.commands.detector import chosen, in_collection
from siamese.commands.errors import report_user_errors
from siamese.commands.output import listen, reading
from siamese.commands.search import read_collection
from siamese.data.files import read_questions
from siamese.data.sources import CORPORA
from siamese.detector import Detector
from siamese.serving.connections import ANY, LOCAL, allowed_hosts, config

EACH = 20  # of the shipped questions one, to find out which language a detector reads


def shipped_questions(detector: Detector) -> Path:
    """The shipped questions in the language whose words the detector knows best, or which it was trained on."""
    known = {}
    for path in sorted(CORPORA.glob("*.tsv")):
        questions = read_questions(path, None).texts[0]
        coverage = detector.coverage(questions.take(np.arange(0, len(questions), EACH)))
        known[path] = float(np.nan_to_num(coverage.known_words).mean()), f"corpus {path.stem} " in detector.model
    return max(known, key=known.__getitem__)


def main() -> None:
    """Serve the page with the settings of the command line until Ctrl-C.

    Raises:
        ValueError, OSError: detector or collection cannot be read, or the port is taken.
    """
    settings = program_settings("demo", __doc__)
    host = settings["host"]
    with listen(host, settings["port"]) as listener:
        detector = chosen(settings)
        index = Path(settings["index"] or shipped_questions(detector)).expanduser()
        print(f"reading the questions of {index.name}", file=sys.stderr)
        collection = read_collection(detector, index, settings["column"], reading(settings))
        collection.detector = in_collection(detector, settings, collection.embeddings)
        app = application(detector, collection, index.name, settings["candidates"], allowed_hosts(host))
        address = f"http://{LOCAL[0] if host == ANY else host}:{listener.getsockname()[1]}/"
        print(f"open {address} (Ctrl-C ends it)", flush=True)
        Server(config(app)).run([listener])


if __name__ == "__main__":
    with report_user_errors():
        main()
