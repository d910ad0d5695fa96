"""Export a trained detector for other programs and languages: ONNX, TensorFlow SavedModel, a tokenizer file.

python -m experiments.export output=exported
python -m experiments.export run=ID output=exported formats=onnx,int8 threshold=precision@0.9
python -m experiments.export run=folder output=exported pairs=pairs.csv

Whatever is exported is run before it is left: a model that keeps float32 and is off by more than 1e-5 from the
network, on any pair, leaves nothing. Smaller weights (float16, int8) are kept with what they cost, measured on the
same pairs. TensorFlow is started only for saved_model, MLflow only for a run or a registry URI.
"""

import importlib.metadata
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.export.measuring import measure
from experiments.export.sample import draw, find, labelled_pairs
from experiments.export.writing import PRECISION, write_onnx, write_saved_models, write_tokenizer
from experiments.program import explain_mistakes
from experiments.settings import command_line
from experiments.trained import share
from siamese.detector import Detector
from siamese.export import example, folder, onnx_graph
from siamese.export.readme import readme, table

FORMATS = (*PRECISION, "saved_model")


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Export, and give what export.json tells of it.

    Args:
        settings: as `command_line` gives them.
    """
    formats = _formats(settings["formats"])
    if settings["output"] is None:
        raise ValueError("give a folder to write: output=FOLDER")
    prior = share(settings["prior"])
    with folder.whole_folder(Path(settings["output"]).expanduser()) as new:
        place, run_id = find(settings["run"], settings["tracking.uri"], settings["tracking.experiment"])
        trained = Detector.load(place)
        detector = trained.at(settings["threshold"], prior)
        sample = draw(trained, *labelled_pairs(settings, run_id), settings["most"])

        text = write_tokenizer(detector.vectorizer, sample, new)
        expected = {"the light network": sample.outputs(detector.network)}
        exported = write_onnx(detector.network, formats, new)
        if "saved_model" in formats:
            saved, expected["Keras"] = write_saved_models(place, sample, new)
            exported += saved

        head = {
            "source": f"run {run_id}" if run_id else f"the folder {settings['run']}",
            "text": text,
            "verdict": asdict(detector.calibration),
            "dimension": detector.network.dimension,
            "token_ids": detector.network.vocabulary,
            "similarity": detector.network.description["similarity"],
            "opset": onnx_graph.OPSET,
            "measured_on": sample.described(),
            "compared_with": list(expected),
            "models": measure(exported, expected, sample, new),
            "versions": _versions("saved_model" in formats),
        }
        shutil.copyfile(example.__file__, new / "example.py")
        (new / "README.md").write_text(readme(head), encoding="utf-8")
        folder.write_head(new, head)
    return head


def _formats(given: str | None) -> list[str]:
    formats = (given or "").split(",")
    if "onnx" not in formats or not set(formats) <= set(FORMATS):
        raise ValueError(
            f"formats must list onnx and any of {', '.join(FORMATS[1:])}, with commas between; got {given}"
        )
    return [each for each in FORMATS if each in formats]


def _versions(with_keras: bool) -> dict[str, str]:
    names = ["onnx", "onnxruntime", "tokenizers", "numpy", *(["keras", "tensorflow"] if with_keras else [])]
    return {name: importlib.metadata.version(name) for name in names}


def main() -> None:
    """Export, and print what was measured."""
    settings, others = command_line("export", sys.argv[1:])
    if others:
        raise ValueError(f"give settings as key=value; got {' '.join(others)}")
    head = run(settings)
    data = head["measured_on"]
    print(f"{head['source']}, measured on {data['pairs']:,} pairs: {data['name']}. {data['note']}\n\n{table(head)}")
    print(f"\nwrote {settings['output']}; its README.md says how to use it")


if __name__ == "__main__":
    with explain_mistakes():
        main()
