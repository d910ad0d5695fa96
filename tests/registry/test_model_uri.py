"""Model URI: the files of a model, and the run that it came from."""

import pytest

from siamese.detector import Detector
from siamese.registry.model_uri import MODELS, download, model_uri


@pytest.mark.slow
def test_a_run_and_the_registry_lead_to_the_same_files(model_run, registered, detector, questions):
    folder, run = download(model_run)
    assert run == model_run
    assert Detector.load(folder).similarity(questions).tolist() == detector.similarity(questions).tolist()
    for source in (registered, "models:/duplicates/1", model_uri(model_run)):
        assert download(source) == (folder, model_run)
    assert model_uri(model_run).startswith(f"{MODELS}m-")


def test_a_missing_model_is_reported(store):
    with pytest.raises(ValueError, match=r"run=nowhere is no run of sqlite:.*, no folder and no models:/ URI"):
        download("nowhere")
    with pytest.raises(ValueError, match="cannot read the model models:/nothing@champion"):
        download("models:/nothing@champion")
