"""The image of a server: its commands, run as a script in folders of their own, where no engine builds it."""

import json
import re
import shlex
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.programs import end

ROOT = Path(__file__).parents[2]
DETECTOR = ROOT / "tests" / "fixtures" / "detector_format_5"
DOCKERFILE = (ROOT / "experiments" / "serve.Dockerfile").read_text(encoding="utf-8")
LARGEST = 170  # megabytes of what the image adds to python:3.11-slim, which has 130
PAIR = {"question1": "How do I pay my bill?", "question2": "Where can I pay the bill?"}


def steps(name: str) -> list[str]:
    return re.findall(rf"^{name} (.*)$", DOCKERFILE, re.M)


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """What the RUN steps make."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "source"
    for name in ("siamese", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, source)
    for step in steps("RUN"):
        words = step.replace("/venv", f"{folder}/venv").replace("/source", str(source))
        done = subprocess.run(["bash", "-euc", words], cwd=folder, capture_output=True, text=True)
        if done.returncode and re.search("NewConnectionError|ConnectTimeout|No matching distribution", done.stderr):
            pytest.skip(f"the package index cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return folder / "venv"


@pytest.mark.slow
def test_the_server_of_the_image_answers(environment, tmp_path):
    [command] = [step for step in steps("CMD") if "serve" in step]
    words = [
        word.replace("/venv", str(environment)).replace("/detector", str(DETECTOR)).replace("0.0.0.0", "127.0.0.1")
        for word in json.loads(command.replace("port=5002", "port=0"))
    ]
    server = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        address = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        [health] = re.findall(r"HEALTHCHECK CMD (.*)", DOCKERFILE)
        check = [word.replace("/venv", str(environment)) for word in json.loads(health)]
        check[-1] = check[-1].replace("http://127.0.0.1:5002", address)
        assert subprocess.run(check, cwd=tmp_path).returncode == 0
        body = json.dumps({"dataframe_records": [PAIR]}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert 0 < json.load(answer)["predictions"][0]["similarity"] <= 1
    finally:
        end(server)


@pytest.mark.slow
def test_the_image_is_small(environment):
    size = sum(file.lstat().st_size for file in environment.rglob("*") if not file.is_dir())
    detector = sum(file.stat().st_size for file in DETECTOR.rglob("*") if file.is_file())
    assert (size + detector) / 1e6 < LARGEST


def test_nothing_is_copied_but_the_source_the_environment_and_the_detector():
    assert [shlex.split(step)[-2:] for step in steps("COPY")] == [
        [".", "/source"],
        ["/venv", "/venv"],
        ["${DETECTOR}", "/detector"],
    ]
    assert steps("USER") == ["nobody"]
