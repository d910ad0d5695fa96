"""export: a folder that other programs can use, whole or not at all, with figures that hold."""

import csv
import hashlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from siamese.commands import export
from siamese.commands.arguments import command_line
from siamese.commands.export import labelled_pairs
from siamese.data.folders import atomic_folder
from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.evaluation.calibration import calibrate
from siamese.evaluation.thresholds import DevScores
from siamese.export import agreement, example, measuring, writing
from siamese.export.folder import is_export
from siamese.export.runners import batches, onnx_runner, run
from siamese.export.sample import OWN_DEV, UNKNOWN_PAIRS, draw
from siamese.export.tokenizer import write_tokenizer
from siamese.model.similarity import Euclidean
from siamese.registry import latest
from siamese.registry.locate import Located, locate
from siamese.text.vectorizer import Vectorizer

ODD = [
    "",
    " ",
    "[PAD] [UNK]",
    "Zyzzyva, L’ÉTÉ don't…",
    "pay " * 100,
    "ﬁne １２ e\u0301te\u0301 👍🏽",
    "l'eau qu'il  boit\tici",
]


@pytest.fixture(scope="module")
def detector(build_network, vectorizer, pairs) -> tuple[Detector, object]:
    """A detector whose dev pairs are `pairs`, best first as training keeps them, and its Keras network."""
    network = build_network("dense", lambda: Euclidean(0.5))
    bare = Detector.from_network(network, vectorizer, None)  # type: ignore[arg-type]
    scores = bare.score(pairs)
    order = np.argsort(-scores, kind="stable")
    dev = DevScores(scores[order], pairs.duplicate[order])
    calibration = calibrate(pairs.duplicate.astype(float), scores, "best_f1")
    return Detector(bare.network, vectorizer, calibration, dev), network


@pytest.fixture
def here(detector, pairs, tmp_path, monkeypatch) -> Path:
    """A working directory with a detector, its Keras network, and a file of its dev pairs."""
    detector[0].save(tmp_path / "detector", detector[1])
    with (tmp_path / "pairs.csv").open("w", newline="") as file:
        rows = zip(pairs.left_texts(), pairs.right_texts(), pairs.label.tolist(), strict=True)
        csv.writer(file).writerows([["question1", "question2", "is_duplicate"], *rows])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(*words: str) -> dict:
    return command_line("export", ["run=detector", "output=out", "pairs=pairs.csv", *words])[0]


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name not in ("detector", "pairs.csv"))


@pytest.mark.slow
def test_everything_is_there_and_equals_keras(here, detector, pairs):
    head = export.run(settings())
    own, exact = detector[0], [name for name, model in head["models"].items() if model["precision"] == "float32"]
    assert exact == ["tower.onnx", "network.onnx", "tower/", "network/"]
    assert head["compared_with"] == ["the NumPy network", "Keras"]
    for name in exact:
        assert max(head["models"][name]["difference"].values()) <= 1e-5
    token_ids = own.vectorizer.encode(pairs.questions)
    scores = run(onnx_runner(here / "out" / "network.onnx"), batches(token_ids, pairs.left, pairs.right))
    np.testing.assert_allclose(scores, own.score(pairs), rtol=0, atol=1e-6)
    assert head["measured_on"] == {"name": "pairs.csv", "note": OWN_DEV, "pairs": 24, "duplicates": 12}
    assert leftovers(here) == ["out"]


def test_digests_sizes_and_figures_are_those_of_the_files(here, detector, pairs):
    head = export.run(settings("formats=onnx,float16,int8"))
    folder = here / "out"
    stored = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(stored["sha256"]) == files - {"export.json"}
    for name, digest in stored["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert stored["models"] == head["models"]
    scores, label = {}, pairs.duplicate
    token_ids = detector[0].vectorizer.encode(pairs.questions)
    for name, model in head["models"].items():
        assert model["bytes"] == (folder / name).stat().st_size
        assert model["speed"] > 0
        if model["part"] == "network":
            runner = onnx_runner(folder / name)
            scores[name] = run(runner, batches(token_ids, pairs.left, pairs.right))
            above = scores[name][label][:, None] - scores[name][~label]
            assert model["roc_auc"] == pytest.approx((above > 0).mean() + (above == 0).mean() / 2)
    for name in ("network_float16.onnx", "network_int8.onnx"):
        model, lost = head["models"][name], head["models"][name]["roc_auc_lost"]
        assert lost["value"] == pytest.approx(head["models"]["network.onnx"]["roc_auc"] - model["roc_auc"])
        assert lost["low"] <= lost["value"] <= lost["high"]
        farthest = np.abs(scores[name] - detector[0].score(pairs)).max()
        assert model["difference"]["the NumPy network"] == pytest.approx(farthest, rel=1e-3, abs=1e-7)
        assert 1e-7 < farthest < 0.01


@pytest.mark.slow
def test_the_example_runs_alone_and_gives_the_answers_of_the_detector(here, detector, run_python):
    export.run(settings("formats=onnx", "threshold=recall@0.5", "prior=0.1"))
    own = detector[0].at("recall@0.5", 0.1)
    for pair in [
        ("How do I pay my BILL?", "cooking zyzzyvas"),
        ("i lost my card", "my card is lost"),
        ("zyzzyva", "rice"),
    ]:
        similarity = own.similarity([pair])
        verdict = "duplicate" if own.is_duplicate([pair])[0] else "not duplicate"
        printed = run_python("-I", "out/example.py", *pair).stdout  # -I: the project is not on the path
        match = re.fullmatch(r"(.*): similarity (.*), probability (.*)\n", printed)
        assert match is not None
        assert match[1] == verdict
        assert float(match[2]) == pytest.approx(similarity[0], abs=2e-6)
        assert float(match[3]) == pytest.approx(own.probability(similarity)[0], abs=2e-5)
    imported = re.findall(r"^(?:import|from) (\w+)", (here / "out" / "example.py").read_text(), re.MULTILINE)
    assert set(imported) - set(sys.stdlib_module_names) == {"numpy", "onnxruntime", "tokenizers"}


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "word", "oov_buckets": 8, "max_length": 6},
        {"kind": "word", "oov_buckets": 0, "max_length": 6},
        {"kind": "word", "oov_buckets": 3, "lowercase": False},
        {"kind": "unigram", "vocabulary_size": 40, "max_length": 6},
        {"kind": "bpe", "vocabulary_size": 60, "max_length": 6, "lowercase": False},
    ],
    ids=str,
)
def test_the_tokenizer_and_its_rule_give_the_ids_of_the_vectorizer(pairs, tmp_path, options):
    vectorizer = Vectorizer.fit(pairs.questions, **{"min_frequency": 1} | options)
    text = write_tokenizer(vectorizer, tmp_path)
    written = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    texts = [*pairs.questions, *ODD]
    expected = vectorizer.encode(texts)
    for row, question in enumerate(texts):
        ids = expected.values[expected.offsets[row] : expected.offsets[row + 1]].tolist()
        assert example.token_ids(question, written, text) == ids, question
    assert text["first_bucket"] + text["oov_buckets"] == vectorizer.size
    if not text["oov_buckets"]:  # then the file alone pads and cuts
        whole = [each for each in texts if written.encode(each).ids]
        padded = vectorizer.encode(whole).padded(np.arange(len(whole)))
        assert [each.ids for each in written.encode_batch(whole)] == padded.tolist()


def test_a_tokenizer_that_disagrees_is_refused(here, monkeypatch):
    monkeypatch.setattr(example, "word_id", lambda word, tokenizer, text: 2)
    with pytest.raises(
        ValueError, match=r"the exported tokenizer gives the ids \[2.*the detector \[.*please report it"
    ):
        export.run(settings("formats=onnx"))
    assert leftovers(here) == []


@pytest.mark.parametrize("off", [2e-5, np.nan])
@pytest.mark.parametrize("part", ["tower", "network"])
def test_a_model_that_is_off_leaves_nothing(here, monkeypatch, part, off):
    real = writing.onnx_runner

    def wrong(file):
        runner = real(file)
        return (lambda *questions: runner(*questions) + np.float32(off)) if file.stem == part else runner

    monkeypatch.setattr(writing, "onnx_runner", wrong)
    with pytest.raises(ValueError, match=rf"{part}.onnx differs from the NumPy network by .*; nothing was written"):
        export.run(settings("formats=onnx"))
    assert leftovers(here) == []


def test_what_smaller_weights_lose_is_against_the_float32_model(here, monkeypatch):
    """Weights that turn the order of the pairs round have 1 minus the ROC AUC, so that 2 AUC - 1 is lost."""
    real = writing.onnx_runner

    def reversing(file):
        runner = real(file)
        return (lambda *questions: 1 - runner(*questions)) if file.stem == "network_int8" else runner

    monkeypatch.setattr(writing, "onnx_runner", reversing)
    models = export.run(settings("formats=onnx,int8"))["models"]
    lost, before = models["network_int8.onnx"]["roc_auc_lost"], models["network.onnx"]["roc_auc"]
    assert lost["value"] == pytest.approx(2 * before - 1)
    assert abs(lost["value"]) > 0.1


def test_quantised_weights_may_be_off_but_must_give_numbers():
    agreement.check("int8", {"Keras": 0.1}, exact=False)
    agreement.check("onnx", {"Keras": 1e-5}, exact=True)
    for value, exact in ((1.1e-5, True), (np.nan, True), (np.nan, False), (np.inf, False)):
        with pytest.raises(ValueError, match="differs from Keras by"):
            agreement.check("x", {"Keras": value}, exact)


def test_the_loss_of_roc_auc_is_what_it_costs():
    """Of 2 · 2 comparisons the first scores win all, the second 3: 1/4 is lost; equal scores lose nothing."""
    label = np.array([True, True, False, False])
    before, after = np.float32([0.9, 0.8, 0.2, 0.1]), np.float32([0.9, 0.15, 0.2, 0.1])
    lost = agreement.roc_auc_loss(label, before, after)
    assert lost.value == pytest.approx(0.25)
    assert lost.low < 0.25 < lost.high
    assert agreement.roc_auc_loss(label, after, before).value == pytest.approx(-0.25)
    same = agreement.roc_auc_loss(label, before, before)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_speed_is_relative_to_the_first_model_of_the_part(detector, pairs, monkeypatch):
    """Clock readings are made up: the second tower takes 4 s where the first takes 2, the network 1."""
    sample = draw(detector[0], "pairs", pairs, 100)
    clock = iter(np.cumsum([0, 2, 0, 4, 0, 1] * measuring.REPEATS).tolist())
    monkeypatch.setattr(measuring.time, "thread_time", lambda: next(clock))
    models = [
        writing.Exported(file, part, "float32", lambda *questions: None)  # type: ignore[arg-type,return-value]
        for file, part in (("a", "tower"), ("b", "tower"), ("c", "network"))
    ]
    assert measuring._speeds(models, sample) == {"a": 1, "b": 0.5, "c": 1}


def test_pairs_are_called_dev_only_if_they_are(here, detector, pairs):
    own = detector[0]
    assert draw(own, "some", pairs, 100).note == OWN_DEV
    shuffled = pairs.take(np.random.default_rng(0).permutation(len(pairs)))
    assert draw(own, "some", shuffled, 100).note == OWN_DEV
    for other in (
        pairs.take(np.arange(len(pairs) - 1)),
        QuestionPairs(pairs.questions, pairs.left, pairs.right, 1 - pairs.label),
        QuestionPairs(pairs.questions, np.where(pairs.duplicate, pairs.right, pairs.left), pairs.right, pairs.label),
        QuestionPairs(pairs.questions, np.where(pairs.duplicate, pairs.left, pairs.right), pairs.right, pairs.label),
    ):
        assert draw(own, "some", other, 100).note == UNKNOWN_PAIRS
    undocumented = Detector(own.network, own.vectorizer, own.calibration, None)
    assert draw(undocumented, "some", pairs, 100).note == UNKNOWN_PAIRS


def test_of_many_pairs_some_are_drawn(detector, pairs):
    sample = draw(detector[0], "all", pairs, 10)
    assert len(sample.pairs) == 10
    assert sample.name == "10 of the 24 pairs of all"
    assert sample.note == OWN_DEV
    with pytest.raises(ValueError, match="few must hold duplicates and others; give pairs=FILE"):
        draw(detector[0], "few", pairs.take(pairs.duplicate), 100)


@pytest.mark.slow
def test_a_folder_is_measured_on_shipped_questions(here):
    """Their dev part, as training has it by default, under the name that says so."""
    for words in ([], ["pairs=corpus"]):
        name, pairs = labelled_pairs(command_line("export", words)[0], None)
        assert name == "dev of corpus en by intent, which ships with the project"
        assert len(pairs) == 4824
    assert locate("detector", "sqlite:///none.db", "any") == Located("detector", Path("detector"), None)
    assert leftovers(here) == []


def test_the_newest_run_is_measured_on_its_own_dev_pairs(here, pairs, monkeypatch):
    """The note names the run, the run's table of predictions has its pairs; no store is made or read twice."""
    latest.note("sqlite:///mlflow.db", "abc", here / "detector")
    assert locate(None, "sqlite:///mlflow.db", "any") == Located("abc", Path("detector"), "abc")
    asked = []

    def predictions(run, split):
        import pandas as pd

        asked.append((run, split))
        texts = {"question1": pairs.left_texts(), "question2": pairs.right_texts()}
        return pd.DataFrame({**texts, "label": pairs.label})

    monkeypatch.setattr("siamese.tracking.open_store", lambda uri, experiment: None)
    monkeypatch.setattr("siamese.tracking.queries.predictions", predictions)
    head = export.run(command_line("export", ["output=out", "formats=onnx"])[0])
    assert asked == [("abc", "dev")]
    assert head["source"] == "run abc"
    assert head["measured_on"] == {"name": "dev of run abc", "note": OWN_DEV, "pairs": 24, "duplicates": 12}


def test_an_older_export_is_replaced_and_anything_else_refused(here):
    export.run(settings("formats=onnx,float16"))
    (here / "out" / "stale.txt").write_text("old")
    export.run(settings("formats=onnx"))
    names = sorted(path.name for path in (here / "out").iterdir())
    assert names == ["README.md", "example.py", "export.json", "network.onnx", "tokenizer.json", "tower.onnx"]
    (here / "letters").mkdir()
    (here / "letters" / "export.json").write_text("[]")
    (here / "file").write_text("text")
    for name in ("letters", "file", "detector"):
        with pytest.raises(ValueError, match=f"{name} exists and holds something else"):
            export.run(settings("formats=onnx", f"output={name}"))
    assert (here / "letters" / "export.json").read_text() == "[]"


def test_an_error_leaves_the_older_export_as_it_was(here):
    export.run(settings("formats=onnx"))
    before = (here / "out" / "export.json").read_bytes()

    def interrupted():
        with atomic_folder(here / "out", is_export) as new:
            (new / "tower.onnx").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (here / "out" / "export.json").read_bytes() == before
    assert leftovers(here) == ["out"]


@pytest.mark.parametrize("formats", ["", "int8", "onnx,tflite", "onnx,", "saved_model,int16"])
def test_unknown_formats_are_refused(here, formats):
    with pytest.raises(ValueError, match="formats must list onnx and any of float16, int8, saved_model"):
        export.run(settings(f"formats={formats}"))


def test_what_needs_tensorflow_is_refused_before_any_work_where_it_is_not_installed(here, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"saved_model, which needs TensorFlow: pip install 'siamese\[train\]'"):
        export.run(settings("formats=onnx,saved_model"))
    assert leftovers(here) == []


def test_a_detector_that_numpy_runs_is_not_exported_without_onnx(here):
    with pytest.raises(
        ValueError, match="formats must include onnx, with which the others are compared; got saved_model"
    ):
        export.run(settings("formats=saved_model"))


def test_what_is_no_detector_and_what_lacks_keras_is_refused(here):
    (here / "empty").mkdir()
    with pytest.raises(ValueError, match="empty is not a saved detector"):
        export.run(settings("run=empty"))
    (here / "detector" / "network.keras").unlink()
    with pytest.raises(ValueError, match=r"detector has no network.keras, .*formats=onnx,float16,int8"):
        export.run(settings())
    with pytest.raises(ValueError, match="give a folder to write: output=FOLDER"):
        export.run(settings("output="))
    with pytest.raises(ValueError, match=r"prior must be a share of duplicates .*, got 'few'"):
        export.run(settings("prior=few"))
    assert leftovers(here) == ["empty"]


@pytest.mark.slow
def test_the_readme_describes_the_folder(here, detector):
    head = export.run(settings())
    text = (here / "out" / "README.md").read_text(encoding="utf-8")
    own = detector[0]
    for printed in (
        "1 / (1 + |u - v|₂ / 0.5)",
        f"`embedding` float32[batch, {own.network.dimension}]",
        f"Ids lie in [0, {own.network.vocabulary})",
        f"has the id {own.vectorizer.size - 8} + CRC-32 of its UTF-8 bytes modulo 8",
        f"similarity {own.calibration.threshold:.6g} on (chosen for: best_f1)",
        f"On 24 pairs, 12 of them duplicates: pairs.csv. {OWN_DEV}",
        "TensorFlow SavedModels",
    ):
        assert printed in text, printed
    assert all(f"| {name} " in text for name in head["models"])
    export.run(settings("formats=onnx"))
    assert "SavedModel" not in (here / "out" / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_program_starts_neither_tensorflow_nor_mlflow_for_onnx(here, run_program):
    words = ["run=detector", "output=out", "pairs=pairs.csv"]
    heavy = ("tensorflow", "keras", "mlflow")
    printed = run_program("export", *words, "formats=onnx,int8", watched=heavy)
    assert "| network_int8.onnx " in printed.stdout
    assert printed.stdout.splitlines()[-1] == "imported:"
    assert printed.stderr == ""  # the export itself says which model it is
    failed = run_program("export", *words, "formats=zip")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: formats must list onnx")
