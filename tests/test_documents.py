"""Documents: the commands that they show can be given as they stand, and what they link to is there."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from siamese.commands.arguments import CONF, command_line

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    ".github/CHANGELOG.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    "experiments/README.md",
    "experiments/BENCHMARKS.md",
    "experiments/RESULTS.md",
    "experiments/PAST_ONE_MACHINE.md",
    "experiments/help_desk.md",
    "experiments/help_desk.fr.md",
    "siamese/README.md",
    "siamese/data/corpora/README.md",
)
WITH_HYDRA = {"train": "config", "evaluate": "evaluate", "promote": "promote", "benchmark": "benchmark"}
WITH_SETTINGS = ("predict", "why", "search", "mine", "encode", "export", "serve", "demo", "recover")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def shown(pattern: str) -> list[str]:
    """What follows at the start of a line or of a piece of code, up to the end of either."""
    found = {
        each for document in DOCUMENTS for each in re.findall(rf"(?:^|`){pattern}([^`\n]*)", text_of(document), re.M)
    }
    return sorted(each for each in found if "…" not in each)


COMMANDS = [words for each in shown(r"python -m experiments\.") for words in [shlex.split(each, comments=True)]]


def of(programs) -> list[list[str]]:
    return [words for words in COMMANDS if words[0] in programs]


@pytest.mark.parametrize("words", of(WITH_SETTINGS), ids=" ".join)
def test_settings_of_a_shown_command_exist(words):
    program, *given = words[: words.index("<")] if "<" in words else words
    settings, questions = command_line(program, given)
    assert settings
    assert not [word for word in questions if re.fullmatch(r"[a-z_.]+=.*", word)]


@pytest.mark.slow
@pytest.mark.parametrize("words", [each for each in of(WITH_HYDRA) if "--config-dir" not in each], ids=" ".join)
def test_a_shown_config_composes(words):
    program, *given = [word for word in words if word != "--multirun"]
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        swept = any(re.search(r"=[^\[\"']*,", word) for word in given)
        first = [re.sub(r"(=[^,\[\"']*),.*", r"\1", word) for word in given]
        assert compose(WITH_HYDRA[program], [word.replace("=ID", "=0") for word in first])
        assert swept == ("--multirun" in words)


def test_shown_programs_exist():
    assert len(COMMANDS) > 30
    for program, *_ in COMMANDS:
        name = program.rstrip(".,;:")
        assert (ROOT / "experiments" / f"{name}.py").is_file() or (ROOT / "experiments" / name).is_dir(), program


def test_shown_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.M))
    found = {words.split()[0] for words in shown("make ") if words.strip()}
    assert {"train", "test", "serve", "demo"} <= found <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\(([^)#]+)\)", text_of(document)):
        assert link.startswith("http") or (ROOT / document).parent.joinpath(link).exists(), link


def test_the_front_page_is_short():
    assert len(text_of("README.md").splitlines()) < 150


def test_every_pinned_package_that_the_project_names_has_a_line_on_the_front_page():
    named = text_of("requirements.txt").partition("# What these need in turn")[0]
    packages = re.findall(r"^([\w-]+)==", named, re.M)
    assert len(packages) > 20
    table = text_of("README.md").partition("## Why each package is here")[2].lower().replace("_", "-")
    assert not [name for name in packages if name.lower().replace("_", "-") not in table]


def test_each_promise_names_a_test_that_is_there():
    promises = [line for line in text_of(".github/SECURITY.md").splitlines() if "`tests/" in line]
    assert len(promises) > 10
    for promise in promises:
        file, name = re.search(r"`(tests/[\w/]+\.py)::(test_\w+)`", promise).groups()
        assert re.search(rf"^def {name}\(", text_of(file), re.M), promise
