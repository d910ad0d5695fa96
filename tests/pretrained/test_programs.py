"""A tower over an encoder, from training to each program, as any other tower."""

import asyncio
import json
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

from experiments import learning, training_run
from experiments.demo.server import application
from siamese.commands import export, mine, predict, search, why
from siamese.commands.arguments import command_line
from siamese.commands.config_files import CONF
from siamese.detector import Detector
from siamese.model import towers
from siamese.pretrained import encoders
from siamese.pretrained.hugging_face import from_folder
from siamese.registry.locate import load, locate
from siamese.registry.model_uri import model_uri
from siamese.retrieval.question_index import Collection
from siamese.serving.mlflow_table import answers
from siamese.training.building import build
from tests.encoders import WIDTH, write_encoder

pytestmark = pytest.mark.slow
PAIR = ("how do i pay my bill", "where do i pay my bill")
SLOW = {"mlflow", "matplotlib", "tensorflow", "keras", "pandas", "hydra", "scipy", "faiss", "onnx", "pyarrow"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module", params=["cosine", "hybrid"])
def trained(request, tmp_path_factory, encoder) -> tuple[Path, str]:
    """A folder with a store, and the id of a run in it."""
    folder = tmp_path_factory.mktemp("trained")
    words = ["tower=encoder", "tower.units=[6]", "encoder=onnx", f"encoder.folder={encoder}", "encoder.license=MIT"]
    words += ["encoder.trained_on=a made table", "data.duplicates_per_question=0.1", "training.epochs=1"]
    words += [f"similarity={request.param}", "evaluation.bootstrap_repeats=50", "baselines=none"]
    words += [f"tracking.uri=sqlite:///{folder}/mlflow.db"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        run = training_run.run(composed(words)).run_id
        yield folder, run
        mlflow.set_tracking_uri(before)


@pytest.fixture
def detector(trained, monkeypatch) -> Path:
    """The folder of its detector; the working directory is that of the store."""
    monkeypatch.chdir(trained[0])
    return locate(trained[1], f"sqlite:///{trained[0]}/mlflow.db", "duplicate-questions").folder


def composed(words: list[str]) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", overrides=words)


def settings(program: str, *words: object) -> dict:
    return command_line(program, list(map(str, words)))[0]


def test_the_folder_holds_the_encoder_and_can_be_moved(detector, encoder, tmp_path):
    assert not (detector / "vectorizer.json").exists()
    described = json.loads((detector / "encoder.json").read_text(encoding="utf-8"))
    assert described["digest"] == from_folder(encoder).digest
    assert json.loads((detector / "detector.json").read_text(encoding="utf-8"))["format_version"] == 5
    shutil.copytree(detector, tmp_path / "moved")
    moved = Detector.load(tmp_path / "moved")
    assert moved.similarity([PAIR]).tolist() == Detector.load(detector).similarity([PAIR]).tolist()
    moved.save(tmp_path / "again")
    assert Detector.load(tmp_path / "again").similarity([PAIR]).tolist() == moved.similarity([PAIR]).tolist()


def test_the_run_has_its_levels_its_card_and_its_choices(trained, detector):
    run = mlflow.get_run(trained[1])
    assert {"level/0_encoder", "level/output", "model/questions_per_second"} <= set(run.data.metrics)
    assert (run.data.params["tower"], run.data.params["encoder.license"]) == ("encoder", "MIT")
    card = (detector / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "one encoder tower" in card
    assert "the sentence encoder tiny (SHA-256" in card
    assert "license: MIT), which others trained on: a made table." in card


def test_a_cold_predict_imports_nothing_slow(detector, encoder, run_program):
    done = run_program("predict", f"run={detector}", *PAIR, watched=SLOW)
    assert done.stdout.splitlines()[-1] == "imported:", done.stderr
    done = run_program("predict", f"encoder={encoder}", "threshold=0.5", *PAIR, watched=SLOW)
    assert done.stdout.splitlines()[-1] == "imported:"
    assert done.stdout.startswith("duplicate: similarity")
    assert "note: nothing was trained" in done.stderr


def test_predict_and_why(detector):
    [[row]] = predict.run(settings("predict", f"run={detector}"), PAIR)
    explanation = why.run(settings("why", f"run={detector}"), PAIR)
    assert explanation.similarity == pytest.approx(row["similarity"], abs=1e-6)
    assert explanation.left.words == PAIR[0].split()
    assert explanation.contributions is None
    without = Detector.load(detector).similarity([("do i pay my bill", PAIR[1])])[0]
    assert explanation.left.effect[0] == pytest.approx(explanation.similarity - without, abs=1e-6)


@pytest.mark.parametrize("of", ["run", "encoder"])
def test_search_and_mine(of, detector, encoder, tmp_path):
    which = f"run={detector}" if of == "run" else f"encoder={encoder}"
    questions = tmp_path / "faq.csv"
    questions.write_text(
        "question\nhow do i pay my bill\nlost card\ncook rice\nhow  do i pay my bill\n", encoding="utf-8"
    )
    _, collection = search.run(settings("search", which, f"index={questions}", f"save={tmp_path / 'index'}"))
    assert collection.search("lost card", 1)[0].tolist() == [1]
    _, kept = search.run(settings("search", which, f"index={tmp_path / 'index'}"))
    assert kept.search("cook rice", 1)[0].tolist() == [2]
    output = tmp_path / "pairs.csv"
    mined = mine.run(settings("mine", which, f"collection={questions}", f"output={output}", "threshold=0.999"))
    assert (mined["texts"], mined["pairs"]) == (3, 1)  # the same vector, so the same text


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


@pytest.fixture
def pairs(tmp_path) -> Path:
    """A file of labeled pairs."""
    rows = [
        f"{one},{other},{int(one.split()[-1] == other.split()[-1])}" for one in PAIR for other in (*PAIR, "cook rice")
    ]
    file = tmp_path / "pairs.csv"
    file.write_text("question1,question2,is_duplicate\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_an_export_answers_by_its_own_example(detector, pairs, tmp_path, run_python):
    where = [f"run={detector}", f"output={tmp_path / 'out'}", f"pairs={pairs}"]
    head = export.run(settings("export", *where))
    width = Detector.load(detector).network.vector_width
    assert head["vector_width"] == width
    assert width == WIDTH or (width > WIDTH and (tmp_path / "out" / "lexicon.npy").is_file())
    assert max(head["models"]["network.onnx"]["difference"].values()) < 1e-5
    assert {"tower/", "network/", "network_int8.onnx"} <= set(head["models"])
    similarity = Detector.load(detector).similarity([PAIR])[0]
    done = run_python(tmp_path / "out" / "example.py", *PAIR, folder=tmp_path)
    assert float(done.stdout.partition("similarity ")[2].partition(",")[0]) == pytest.approx(similarity, abs=1e-5)
    readme = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"| `network*.onnx` | `left` float32[batch, {width}], `right` float32[batch, {width}] |" in readme
    assert ("the mean of the rows of `lexicon.npy`" in readme) == (width > WIDTH)
    assert "The sentence encoder tiny (license: MIT" in readme


def test_an_untrained_encoder_is_exported_too(encoder, pairs, tmp_path, run_python, capsys):
    words = [f"encoder={encoder}", f"output={tmp_path / 'out'}", f"pairs={pairs}"]
    with pytest.raises(ValueError, match=r"no threshold was chosen for encoder=.*; give one, such as threshold=0\.8"):
        export.run(settings("export", *words))
    assert not (tmp_path / "out").exists()
    head = export.run(settings("export", *words, "threshold=0.7"))
    assert "nothing was trained" in capsys.readouterr().err
    assert head["source"] == f"encoder={encoder}, without any training"
    assert set(head["models"]) == {"tower.onnx", "network.onnx"}
    similarity = load(encoder=str(encoder)).similarity([PAIR])[0]
    done = run_python(tmp_path / "out" / "example.py", *PAIR, folder=tmp_path)
    verdict, _, printed = done.stdout.partition(": similarity ")
    assert float(printed.partition(",")[0]) == pytest.approx(similarity, abs=1e-5)
    assert verdict == ("duplicate" if similarity >= 0.7 else "not duplicate")


@pytest.mark.parametrize("name", encoders.READY)
def test_a_ready_encoder_loads_by_its_name_in_python(name):
    assert 0 < load(encoder=name).calibration.threshold < 1


def test_a_model_and_an_encoder_at_once_are_refused(detector):
    with pytest.raises(ValueError, match="give a trained model or an encoder, not both"):
        load(str(detector), encoder="minilm")


def test_a_head_needs_an_encoder():
    with pytest.raises(ValueError, match=r"tower=encoder reads the vectors of an encoder, .*, and none is given"):
        learning.build_network(composed(["tower=encoder", "encoder=none"]), list(PAIR))


def test_the_embedding_is_the_vector_itself_at_first(encoder):
    built = build(PAIR, tower=partial(towers.encoder, units=[5, 4]), encoder=from_folder(encoder))
    vectors = built.vectorizer.encode(PAIR)
    assert np.array_equal(built.runtime(built.network).encode(vectors), vectors.values)
