"""Signals: whatever ends a program, it cleans up and says so in one line; and one that a script ignores ends it, too."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.programs import ROOT

FIXTURE = ROOT / "tests" / "fixtures" / "detector_format_5"
WRITER = """
import time
from siamese.commands.errors import report_user_errors
from siamese.data.folders import atomic_file

with report_user_errors(), report_user_errors(), atomic_file("out.csv") as file:  # a job of a program has one of its own
    print("writing", flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(0.2)  # some cleaning takes time
"""


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, -signal.SIGTERM, ""),
        (signal.SIGHUP, -signal.SIGHUP, ""),
    ],
)
def test_a_signal_leaves_no_scratch_file_even_if_it_comes_twice(tmp_path, start_python, number, code, said):
    if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("the tests were started by nohup, which lets all that they start ignore SIGHUP")
    (tmp_path / "out.csv").write_text("before")
    writer = start_python("-c", WRITER, folder=tmp_path)
    assert writer.stdout.readline() == "writing\n"
    assert len(list(tmp_path.iterdir())) == 2
    writer.send_signal(number)
    if number != signal.SIGINT:
        writer.send_signal(number)
    _, errors = writer.communicate(timeout=60)
    assert (writer.returncode, errors) == (code, said)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out.csv": "before"}


def test_a_program_that_is_terminated_leaves_the_older_output(tmp_path, start_program):
    (tmp_path / "out.csv").write_text("before")
    asked = start_program(
        "predict", "pairs=-", "output=out.csv", f"run={FIXTURE}", folder=tmp_path, stdin=-1, PYTHONUNBUFFERED="1"
    )
    while len(list(tmp_path.iterdir())) == 1:
        assert asked.poll() is None
    asked.terminate()
    asked.communicate(timeout=60)
    assert asked.returncode == -signal.SIGTERM
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out.csv": "before"}


@pytest.mark.parametrize("program", ["experiments.predict", "experiments.train", "experiments.demo", "siamese"])
def test_ctrl_c_while_a_program_imports_is_one_line(tmp_path, start_python, program):
    (tmp_path / "yaml.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    started = start_python("-m", program, folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert started.stdout.readline() == "importing\n"
    started.send_signal(signal.SIGINT)
    out, errors = started.communicate(timeout=60)
    assert (out, errors, started.returncode) == ("", "interrupted\n", 130)


def test_ctrl_c_while_a_program_imports_is_not_lost_where_python_drops_exceptions(tmp_path, start_python):
    slow = "import time, weakref\nclass A: pass\na = A()\n"
    slow += "kept = weakref.ref(a, lambda _: (print('importing', flush=True), time.sleep(60)))\ndel a\n"
    (tmp_path / "yaml.py").write_text(slow)
    started = start_python("-m", "experiments.predict", folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert started.stdout.readline() == "importing\n"
    started.send_signal(signal.SIGINT)
    out, errors = started.communicate(timeout=60)
    assert (out, errors, started.returncode) == ("", "interrupted\n", 130)


def test_ctrl_c_within_code_that_came_as_a_string_gives_its_exit_code(tmp_path, run_python):
    """As that of a dataclass does: after `python -m` Python would end by the signal."""
    (tmp_path / "interrupted.py").write_text(
        "from siamese.commands.errors import report_user_errors\n"
        "with report_user_errors():\n"
        "    exec('raise KeyboardInterrupt')\n"
    )
    done = run_python("-m", "interrupted", folder=tmp_path)  # Python looks for the module where it is started
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


@pytest.mark.parametrize(
    ("words", "ready"),
    [
        (("predict", "pairs=-", f"run={FIXTURE}"), "model: "),
        pytest.param(("train", f"tracking.uri=sqlite:///{Path(os.devnull)}"), "starting ", marks=pytest.mark.slow),
    ],
)
def test_a_program_started_with_ctrl_c_ignored_is_not_deaf_to_it(tmp_path, start_python, words, ready):
    """As `make train &` in a script starts it."""
    deaf = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-m", f"experiments.{words[0]}", *words[1:]]
    started = start_python("-c", deaf, *command, folder=tmp_path, stdin=-1)
    assert started.stderr.readline().startswith(ready)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert (started.returncode, errors.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in errors
