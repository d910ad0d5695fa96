"""What many tests share. TensorFlow and MLflow are imported by the fixtures that need them, and by no others."""

import gc
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from siamese.data.pairs import QuestionPairs
from siamese.text.vectorizer import Vectorizer
from tests import programs

if TYPE_CHECKING:
    from tests.postgres import Cluster

INTENTS = (
    ("how do i pay my bill", "where can i pay the bill ?", "what are the ways to pay a bill"),
    ("my card is lost", "i lost my card", "card gone , what now ?"),
    ("when does the shop open", "opening hours", "is the shop open today , and until when ?"),
    ("how do i cook rice", "cooking rice", "what is the best way to cook a pot of rice ?"),
)
# The same examples each time, so that a change alone makes a test fail.
settings.register_profile("project", derandomize=True, database=None, deadline=None, max_examples=40)
settings.load_profile("project")

STARTS_PROCESSES = {"run_python", "start_python", "run_program", "start_program"}  # the fixtures


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start programs; their files take longest and come first, so that all cores end together."""
    for item in items:
        if STARTS_PROCESSES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("process")
    long = {item.path for item in items if item.get_closest_marker("process")}
    items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """Save what every test would pay for: MLflow's migrations, and a look at all that was imported."""
    if "mlflow" in sys.modules:
        from tests.ready_store import copy_instead_of_migrating

        copy_instead_of_migrating()
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory) -> Iterator[None]:
    """Programs and tests keep vectors in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def a_closed_pipe_is_an_error() -> Iterator[None]:
    """No test leaves it to the system to end this process when a client has gone."""
    yield
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN


@pytest.fixture(scope="session")
def pairs() -> QuestionPairs:
    """12 duplicates, all within their intents, and 12 others; 12 questions."""
    duplicates = [pair for intent in INTENTS for pair in combinations(intent, 2)]
    others = [
        (one, other) for left, right in combinations(INTENTS, 2) for one, other in zip(left[:2], right[1:], strict=True)
    ]
    left, right = zip(*duplicates, *others, strict=True)
    return QuestionPairs.from_texts(left, right, [1] * len(duplicates) + [0] * len(others))


@pytest.fixture(scope="session")
def vectorizer(pairs) -> Vectorizer:
    return Vectorizer.fit(pairs.questions, min_frequency=1, oov_buckets=8)


@pytest.fixture(scope="session")
def token_ids(vectorizer, pairs):
    return vectorizer.encode(pairs.questions)


@pytest.fixture(scope="session")
def encoder_vectorizer(tmp_path_factory):
    """The sentence encoder of `tests.encoders` in the place of a vectorizer."""
    from siamese.pretrained.hugging_face import from_folder
    from siamese.pretrained.vectorizer import EncoderVectorizer
    from tests.encoders import write_encoder

    return EncoderVectorizer(from_folder(write_encoder(tmp_path_factory.mktemp("tiny")), name="tiny", cache=False))


@pytest.fixture(scope="session")
def build_network(vectorizer) -> Callable:
    """`tests.networks.build` with the words of the vectorizer."""
    from tests import networks

    return partial(networks.build, vectorizer)


@pytest.fixture(scope="session")
def train(pairs, token_ids) -> Callable:
    """`tests.networks.train` on the pairs."""
    from tests import networks

    return partial(networks.train, pairs, token_ids)


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """`tests.programs.run_python`: arguments of Python, to the end."""
    return programs.run_python


@pytest.fixture(scope="session")
def run_program() -> Callable[..., subprocess.CompletedProcess]:
    """A function: name of a program of experiments/ and its arguments -> the ended process."""

    def run(name: str, *arguments, stdin: str = "", limit: float = programs.LIMIT, **options):
        started = programs.start_program(name, *arguments, stdin=subprocess.PIPE, **options)
        return programs.ended(started, stdin, limit)

    return run


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen]]:
    """`tests.programs.start_python`; what still runs when the test ends is killed."""
    yield from _starting(programs.start_python)


@pytest.fixture
def start_program() -> Iterator[Callable[..., subprocess.Popen | programs.Forked]]:
    """`tests.programs.start_program`; what still runs when the test ends is killed."""
    yield from _starting(programs.start_program)


def _starting(start: Callable) -> Iterator[Callable]:
    started = []

    def start_and_keep(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    yield start_and_keep
    for process in started:
        with process:
            programs.end(process)


@pytest.fixture
def running(caplog) -> Callable:
    """`tests.clients.running`; nothing is logged as an error meanwhile."""
    from tests import clients

    @contextmanager
    def run(app):
        with clients.running(app) as address:
            yield address
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    return run


@pytest.fixture
def leave() -> Callable:
    """`tests.clients.leave`."""
    from tests import clients

    return clients.leave


@pytest.fixture
def full_disk(tmp_path) -> Iterator[Path]:
    """A folder on a disk of 128 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="module")
def postgres() -> Iterator["Cluster"]:
    """A PostgreSQL of our own; a test that needs it is skipped where it is not installed."""
    import mlflow

    from tests.postgres import cluster

    before = mlflow.get_tracking_uri()
    with cluster() as own:
        yield own
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[Path]:
    """A folder with a fresh store, with its artifacts next to it; it is the current one."""
    import mlflow

    from siamese import tracking

    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        tracking.connect(f"sqlite:///{folder}/mlflow.db", "tests")
        yield folder
        mlflow.set_tracking_uri(before)
