"""Export a trained detector for other programs and languages: ONNX, TensorFlow SavedModel, a tokenizer file.

python -m experiments.export output=exported
python -m experiments.export run=ID output=exported formats=onnx,int8 threshold=precision@0.9
python -m experiments.export run=folder output=exported pairs=pairs.csv
python -m experiments.export encoder=minilm output=exported

Every exported model is run first. If a float32 model differs from the network by more than 1e-5 on any pair, nothing is
written. The cost of smaller weights (float16, int8) is measured on the same pairs and printed. TensorFlow is started
only for saved_model, MLflow only for a run id or a registry URI.
"""

import importlib.metadata
import shutil
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from siamese.commands.arguments import program_settings
from siamese.commands.config_files import CONF
from siamese.commands.detector import chosen, criterion, load
from siamese.commands.output import reading
from siamese.data import sources
from siamese.data.files import read_pair_file
from siamese.data.folders import atomic_folder
from siamese.data.pairs import QuestionPairs
from siamese.detector import Detector
from siamese.export import example, folder, onnx_graph
from siamese.export.measuring import measure
from siamese.export.readme import readme, table
from siamese.export.sample import draw
from siamese.export.writing import PRECISION, write_onnx, write_saved_models, write_text
from siamese.inference.network import NumpyNetwork
from siamese.registry.locate import Located

FORMATS = (*PRECISION, "saved_model")
SHIPPED = "corpus"
COMPARED = {"numpy": "the NumPy network", "keras": "the detector"}  # what answers, by runtime


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Export, and return the content of export.json."""
    encoder = settings["encoder"]
    formats = ["onnx"] if encoder else _formats(settings["formats"])  # an untrained encoder has no weights of its own
    if settings["output"] is None:
        raise ValueError("give a folder to write: output=FOLDER")
    wanted = criterion(settings)
    with atomic_folder(Path(settings["output"]), folder.is_export) as new:
        if encoder:
            found = Located(f"encoder={encoder}, without any training", Path(), None)
            trained = detector = chosen(settings)
        else:
            found, trained = load(settings)
            _check_formats(formats, trained)
            detector = trained.at(*wanted)
        sample = draw(trained, *labelled_pairs(settings, found.run_id), settings["sample_size"])

        text = write_text(detector.vectorizer, sample, new)
        exported, expected = [], {COMPARED[detector.network.name]: sample.outputs(detector.network)}
        if isinstance(detector.network, NumpyNetwork):
            exported = write_onnx(detector.network, formats, new)
            if "encoder" not in text or "files" in text["encoder"]:
                shutil.copyfile(example.__file__, new / "example.py")
        if "saved_model" in formats:
            saved, expected["Keras"] = write_saved_models(found.folder, sample, new)
            exported += saved

        similarity, comparison = detector.network.description["similarity"], detector.network.comparison
        head = {
            "source": _source(found),
            "text": text,
            "verdict": asdict(detector.calibration),
            "dimension": detector.network.dimension,
            "token_ids": detector.network.vocabulary,
            "vector_width": detector.network.vector_width,
            "similarity": similarity,
            "formula": comparison.formula.format(**vars(comparison)),
            "opset": onnx_graph.OPSET,
            "measured_on": sample.described(),
            "compared_with": list(expected),
            "models": measure(exported, expected, sample, new),
            "versions": _versions(formats),
        }
        (new / "README.md").write_text(readme(head), encoding="utf-8")
        folder.write_head(new, head)
    return head


def labelled_pairs(settings: dict[str, Any], run_id: str | None) -> tuple[str, QuestionPairs]:
    """Name and pairs to measure on: those of a file, the dev pairs of the run, or shipped ones."""
    if settings["pairs"] not in (None, SHIPPED):
        columns = settings["left"], settings["right"], settings["label"]
        left, right, label, _ = read_pair_file(settings["pairs"], *columns, "error", reading=reading(settings))
        return Path(settings["pairs"]).name, QuestionPairs.from_texts(left, right, label)
    if run_id is not None and settings["pairs"] is None:
        from siamese import tracking
        from siamese.tracking.queries import predictions

        tracking.open_store(settings["tracking.uri"], settings["tracking.experiment"])
        dev = predictions(run_id, "dev")
        return f"dev of run {run_id}", QuestionPairs.from_texts(dev["question1"], dev["question2"], dev["label"])
    config = yaml.safe_load((CONF / "data" / f"{SHIPPED}.yaml").read_text(encoding="utf-8"))
    shipped = sources.corpus(**{name: value for name, value in config.items() if not name.startswith("_")})
    return f"dev of {shipped.name}, which ships with the project", shipped.dev


def _source(found: Located) -> str:
    if found.run_id:
        return f"run {found.run_id}"
    return found.source if found.folder == Path() else f"the folder {found.source}"


def _formats(given: str | None) -> list[str]:
    formats = (given or "").split(",")
    if not set(formats) & {"onnx", "saved_model"} or not set(formats) <= set(FORMATS):
        raise ValueError(
            f"formats must list onnx and any of {', '.join(FORMATS[1:])}, with commas between; got {given}"
        )
    if "saved_model" in formats and find_spec("tensorflow") is None:
        raise ValueError(
            "formats lists saved_model, which needs TensorFlow: pip install 'siamese[train]', or leave it out: "
            "formats=onnx,float16,int8"
        )
    return [each for each in FORMATS if each in formats]


def _check_formats(formats: list[str], detector: Detector) -> None:
    """Raise ValueError unless ONNX is among the formats of a detector that NumPy runs, and of no other one."""
    by_numpy = isinstance(detector.network, NumpyNetwork)
    if by_numpy and "onnx" not in formats:
        raise ValueError(f"formats must include onnx, with which the others are compared; got {','.join(formats)}")
    if not by_numpy and formats != ["saved_model"]:
        raise ValueError(
            "this detector has layers that only Keras can run, so it has no ONNX model; give formats=saved_model"
        )


def _versions(formats: list[str]) -> dict[str, str]:
    names = ["onnx", "onnxruntime"] if "onnx" in formats else []
    names += ["tokenizers", "numpy", *(["keras", "tensorflow"] if "saved_model" in formats else [])]
    return {name: importlib.metadata.version(name) for name in names}


def main() -> None:
    """Export, and print what was measured."""
    settings = program_settings("export", __doc__)
    head = run(settings)
    data = head["measured_on"]
    print(f"{head['source']}, measured on {data['pairs']:,} pairs: {data['name']}. {data['note']}\n\n{table(head)}")
    print(f"\nwrote {settings['output']}; its README.md says how to use it")
