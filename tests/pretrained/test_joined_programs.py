"""A tower of words with an encoder's vector beside them, from training to each program, as any other tower."""

import asyncio
import shutil
from functools import partial
from pathlib import Path

import httpx2
import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from experiments import training_run
from experiments.cli import plain
from experiments.config_checks import check
from experiments.demo.server import application
from siamese.commands import export, mine, predict, search, why
from siamese.commands.arguments import command_line
from siamese.commands.config_files import CONF
from siamese.data.sources import corpus
from siamese.detector import Detector
from siamese.model import towers
from siamese.model.similarity import Hybrid
from siamese.pretrained.hugging_face import from_folder
from siamese.pretrained.joined import JoinedVectorizer
from siamese.pretrained.piece_table import PieceTable
from siamese.registry.locate import locate
from siamese.registry.model_uri import model_uri
from siamese.registry.start import find_start
from siamese.retrieval.question_index import Collection
from siamese.serving.mlflow_table import answers
from siamese.text.vectorizer import Vectorizer
from siamese.text.word_vectors import random
from siamese.tracking import queries
from siamese.training.building import build
from tests.encoders import WIDTH, write_encoder
from tests.programs import TINY

pytestmark = pytest.mark.slow
PAIR = ("how do i pay my bill", "where do i pay my bill")
SLOW = {"mlflow", "matplotlib", "tensorflow", "keras", "pandas", "hydra", "scipy", "faiss", "onnx", "pyarrow"}
SMALL = {"text": partial(Vectorizer.fit, min_frequency=1), "vectors": partial(random, width=8)}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


def words_of(encoder: Path, folder: Path, *more: str) -> list[str]:
    words = ["tower=conv1d", "tower.filters=[5]", "encoder=onnx", f"encoder.folder={encoder}", "encoder.license=MIT"]
    return [*TINY, *words, "encoder.trained_on=a made table", f"tracking.uri=sqlite:///{folder}/mlflow.db", *more]


def composed(words: list[str]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, encoder) -> tuple[Path, str]:
    """A folder with a store, and the id of a run in it."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        run = training_run.run(composed(words_of(encoder, folder, "similarity=learned", "tower.skip=true"))).run_id
        yield folder, run
        mlflow.set_tracking_uri(before)


@pytest.fixture
def detector(trained, monkeypatch) -> Path:
    """The folder of its detector; the working directory is that of the store."""
    monkeypatch.chdir(trained[0])
    return locate(trained[1], f"sqlite:///{trained[0]}/mlflow.db", "duplicate-questions").folder


def settings(program: str, *words: object) -> dict:
    return command_line(program, list(map(str, words)))[0]


def test_the_folder_holds_words_and_encoder_and_can_be_moved(detector, encoder, tmp_path):
    assert {"vectorizer.json", "encoder.json", "encoder", "light.json"} <= {each.name for each in detector.iterdir()}
    shutil.copytree(detector, tmp_path / "moved")
    moved = Detector.load(tmp_path / "moved")
    assert moved.network.vector_width == WIDTH
    assert moved.vectorizer.encoder.digest == from_folder(encoder).digest
    assert moved.similarity([PAIR]).tolist() == Detector.load(detector).similarity([PAIR]).tolist()
    moved.save(tmp_path / "again")
    assert Detector.load(tmp_path / "again").similarity([PAIR]).tolist() == moved.similarity([PAIR]).tolist()
    shutil.rmtree(tmp_path / "again" / "encoder")
    with pytest.raises(ValueError, match=r"encoder"):
        Detector.load(tmp_path / "again")


def test_the_run_has_its_levels_its_card_and_its_choices(trained, detector):
    run = mlflow.get_run(trained[1])
    assert {"level/0_word_embedding", "level/1", "level/output", "model/token_ids"} <= set(run.data.metrics)
    assert (run.data.params["tower"], run.data.params["encoder_scale"]) == ("conv1d", "3.0")
    card = " ".join((detector / "MODEL_CARD.md").read_text(encoding="utf-8").split())
    assert "one conv1d tower" in card
    assert "the sentence encoder tiny (SHA-256" in card
    assert "A trained linear map of its vector stands behind what the tower makes of the words." in card


def test_a_cold_predict_imports_nothing_slow(detector, run_program):
    done = run_program("predict", f"run={detector}", *PAIR, watched=SLOW)
    assert done.stdout.splitlines()[-1] == "imported:", done.stderr


def test_predict_and_why(detector):
    [[row]] = predict.run(settings("predict", f"run={detector}"), PAIR)
    explanation = why.run(settings("why", f"run={detector}"), PAIR)
    assert explanation.similarity == pytest.approx(row["similarity"], abs=1e-6)
    assert explanation.left.words == PAIR[0].split()
    assert explanation.contributions is None
    assert explanation.left.known_words == Detector.load(detector).coverage(PAIR[:1]).known_words[0]


def test_search_and_mine(detector, tmp_path):
    questions = tmp_path / "faq.csv"
    questions.write_text(
        "question\nhow do i pay my bill\nlost card\ncook rice\nhow do i pay my bill\n", encoding="utf-8"
    )
    which = f"run={detector}"
    _, collection = search.run(settings("search", which, f"index={questions}", f"save={tmp_path / 'index'}"))
    assert collection.search("lost card", 1)[0].tolist() == [1]
    _, kept = search.run(settings("search", which, f"index={tmp_path / 'index'}"))
    assert kept.search("cook rice", 1)[0].tolist() == [2]
    output = tmp_path / "pairs.csv"
    mined = mine.run(settings("mine", which, f"collection={questions}", f"output={output}", "threshold=0"))
    assert (mined["texts"], mined["pairs"]) == (3, 4)  # the repeat is one


def test_the_demo_and_the_served_model(trained, detector):
    trained_here = Detector.load(detector)
    pairs = pd.DataFrame([PAIR], columns=["question1", "question2"])
    served = mlflow.pyfunc.load_model(model_uri(trained[1])).predict(pairs)
    assert served["similarity"][0] == pytest.approx(answers(trained_here, pairs)[0]["similarity"], abs=1e-6)
    collection = Collection.build(trained_here, pa.table({"question": list(PAIR)}))
    app = application(trained_here, collection, "two", 10, ["*"])

    async def ask() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://demo") as client:
            return await client.post("/compare", json={"left": PAIR[0], "right": PAIR[1]})

    answer = asyncio.run(ask()).json()
    assert answer["similarity"] == pytest.approx(served["similarity"][0], abs=1e-6)
    assert "bill" in answer["html"]


def test_an_export_answers_by_its_own_example(detector, tmp_path, run_python):
    pairs = tmp_path / "pairs.csv"
    rows = [f"{one},{other},{int(one == other)}" for one in PAIR for other in (*PAIR, "cook rice")]
    pairs.write_text("question1,question2,is_duplicate\n" + "\n".join(rows) + "\n", encoding="utf-8")
    head = export.run(settings("export", f"run={detector}", f"output={tmp_path / 'out'}", f"pairs={pairs}"))
    assert max(head["models"]["network.onnx"]["difference"].values()) < 1e-5
    assert {"tower/", "network/", "network_int8.onnx"} <= set(head["models"])
    similarity = Detector.load(detector).similarity([PAIR])[0]
    done = run_python(tmp_path / "out" / "example.py", *PAIR, folder=tmp_path)
    assert float(done.stdout.partition("similarity ")[2].partition(",")[0]) == pytest.approx(similarity, abs=1e-5)
    readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"`left` float32[batch, {WIDTH} + left_length]" in readme
    assert "the vector of the question, and behind it its token ids as numbers" in readme


def test_an_interrupted_training_goes_on_to_the_bit(encoder, tmp_path, monkeypatch):
    words = ["training.epochs=3", "training.patience=null", "training.word_dropout=0.3", "tower.dropout=0.3"]
    weights = {}
    for name in ("whole", "stopped"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        cfg = composed(words_of(encoder, folder, *words))

        def stop(epoch):
            if epoch.number == 2:
                raise KeyboardInterrupt

        if name == "stopped":
            with pytest.raises(KeyboardInterrupt):
                training_run.run(cfg, training_run.Job(words), after_epoch=stop)
        run = training_run.run(cfg, training_run.Job(words, resume=name == "stopped")).run_id
        assert len(queries.find_runs()) == 1
        found = locate(run, f"sqlite:///{folder}/mlflow.db", "duplicate-questions").folder
        with np.load(found / "light.npz") as arrays:
            weights[name] = {key: arrays[key] for key in arrays.files}
    for key, array in weights["whole"].items():
        np.testing.assert_array_equal(array, weights["stopped"][key], err_msg=key)


def test_a_training_starts_from_the_words_of_such_a_detector(detector, encoder):
    table = PieceTable.of_detector(detector)
    tower = partial(towers.conv1d, filters=[5], kernel_sizes=[1, 2, 3])
    for given in (from_folder(encoder), None):
        built = build(list(PAIR), start=detector, tower=tower, encoder=given)
        assert built.note == ""
        own = built.network.get_layer("tower")
        np.testing.assert_array_equal(own.get_layer("word_embedding").embeddings, table.matrix)
        saved = Detector.load(detector).network.arrays
        kernel = next(layer for layer in own.layers if hasattr(layer, "kernel_sizes")).kernel
        assert any(np.array_equal(kernel, each) for each in saved.values())
        if given:
            np.testing.assert_array_equal(own.get_layer("mapped_vector").kernel, saved["mapped_vector/kernel"])
    head = build(list(PAIR), start=detector, tower=towers.encoder, encoder=from_folder(encoder))
    assert "the tower starts at random" in head.note


@pytest.mark.parametrize("name", ["vectorizer.json", "encoder.json", "light.npz"])
def test_a_start_is_told_by_all_that_is_read_of_it(name, detector, tmp_path):
    folder = shutil.copytree(detector, tmp_path / "copy")
    before = find_start(str(folder), "", "").digest
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert find_start(str(folder), "", "").digest != before


def test_the_discriminant_starts_the_head_over_the_words(encoder):
    splits = corpus(languages=["en"], duplicates_per_question=0.1)
    choices = {"tower": partial(towers.averaging, units=()), "encoder": from_folder(encoder), "epochs": 0}
    network = Detector.train(splits, discriminant=True, **choices, **SMALL).network
    assert not np.allclose(network.arrays["projection/kernel"], np.eye(8))
    assert network.dimension == 8 + WIDTH


def test_a_hybrid_similarity_weighs_letters_beside_both(encoder):
    splits = corpus(languages=["en"], duplicates_per_question=0.1)
    choices = {"tower": partial(towers.averaging, units=()), "encoder": from_folder(encoder), "epochs": 1}
    detector = Detector.train(splits, similarity=Hybrid, **choices, **SMALL)
    assert isinstance(detector.vectorizer, JoinedVectorizer)
    np.testing.assert_allclose(np.linalg.norm(detector.encode(list(PAIR)), axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("scale", ["0", "-1", "three"])
def test_a_scale_that_is_none_is_refused_before_the_run(scale, encoder, tmp_path):
    with pytest.raises(ValueError, match=r"encoder_scale must"):
        check(plain(composed(words_of(encoder, tmp_path, f"encoder_scale={scale}"))))
