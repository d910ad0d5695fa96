"""Siamese networks for duplicate questions: two texts in, similarity, probability and verdict out.

>>> from siamese import Detector
>>> Detector.load("tests/fixtures/detector_format_5").is_duplicate([("I lost my card", "My card is gone")])
array([ True])

The names below come from the modules beside them, which are imported at first use: neither `import siamese` nor the use
of a `Detector` imports TensorFlow. README.md in this folder shows how the wings depend on each other.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from siamese.data.pairs import PairSplits, QuestionPairs
    from siamese.data.sources import corpus, intent_file, pair_file
    from siamese.detector import Detector
    from siamese.registry.locate import load

__version__ = "0.6.0"
HOME = {
    "Detector": "siamese.detector",
    "PairSplits": "siamese.data.pairs",
    "QuestionPairs": "siamese.data.pairs",
    "corpus": "siamese.data.sources",
    "intent_file": "siamese.data.sources",
    "load": "siamese.registry.locate",
    "pair_file": "siamese.data.sources",
}
__all__ = ["Detector", "PairSplits", "QuestionPairs", "corpus", "intent_file", "load", "pair_file"]


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *HOME})
