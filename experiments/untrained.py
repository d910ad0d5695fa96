"""Rebuild siamese/pretrained/untrained: the ready encoders without training, calibrated on dev pairs of shipped questions.

python -m experiments.untrained
"""

import yaml
from hydra.utils import instantiate

from siamese.commands.config_files import CONF
from siamese.data.sources import corpus
from siamese.detector import Detector
from siamese.evaluation.report import evaluate
from siamese.pretrained.encoders import READY, UNTRAINED


def calibrated(name: str) -> Detector:
    """The detector of a ready encoder, from its config and the dev pairs of the shipped questions."""
    config = yaml.safe_load((CONF / "encoder" / f"{name}.yaml").read_text(encoding="utf-8"))
    detector = Detector.from_encoder(instantiate(config, _convert_="all"))
    dev = corpus(languages=READY[name]).dev
    calibration, reports = evaluate(detector.score, {"dev": dev}, bootstrap_repeats=0)
    return Detector(detector.network, detector.vectorizer, calibration, reports["dev"].scores())


def main() -> None:
    """Write the folders."""
    for name in READY:
        detector = calibrated(name)
        detector.save(UNTRAINED / name)
        print(f"{name}: {detector.threshold_note()}")


if __name__ == "__main__":
    main()
