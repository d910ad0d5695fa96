"""The console command: one command is imported, messages name it as it was started, and a missing extra."""

import sys
from pathlib import Path

import pytest

import siamese
from siamese.commands import console, errors
from siamese.commands.started import COMMANDS
from siamese.data.formats import TableFile

ROOT = Path(__file__).parents[2]
DETECTOR = f"run={ROOT / 'tests' / 'fixtures' / 'detector_format_5'}"
PAIR = ("How do I pay my bill?", "Where can I pay the bill?")


@pytest.fixture
def start(monkeypatch, capsys):
    """A function: words -> what the console command prints, and with what it exits."""

    def run(*words: str) -> tuple[str, object]:
        monkeypatch.setattr(sys, "argv", ["/usr/bin/siamese", *words])
        exited: object = 0
        try:
            console.main()
        except SystemExit as ended:
            exited = ended.code
        return capsys.readouterr().out, exited

    return run


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_all_commands_are_listed_with_a_line_each(start, words):
    printed, exited = start(*words)
    assert exited == 0
    lines = dict(line.split(maxsplit=1) for line in printed.splitlines() if line.startswith("  "))
    assert tuple(lines) == COMMANDS
    assert (
        lines["mine"]
        == "Find all duplicates in a collection of questions, their clusters, and the pairs worth a label."
    )


def test_the_version(start):
    assert start("--version") == (f"siamese {siamese.__version__}\n", 0)


def test_an_unknown_command_names_the_nearest(start):
    assert start("serach") == ("", "error: there is no command serach; did you mean search?")
    assert start("tune", "a=b")[1] == f"error: there is no command tune; the commands are {', '.join(COMMANDS)}"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.slow
def test_help_shows_the_command_as_it_was_started(start, run_program, command):
    printed, exited = start(command, "--help")
    assert (exited or 0) == 0
    assert f"\nsiamese {command} " in printed
    assert f"experiments.{command}" not in printed
    assert "  run=" in printed
    assert f"\npython -m experiments.{command} " in run_program(command, "--help").stdout


def test_a_message_shows_the_command_as_it_was_started(monkeypatch):
    message = "python -m experiments.promote run=ID, or {} run=ID"
    given = message.format("python -m experiments.serve")
    for started, shown in (("siamese serve", message.format("siamese serve")), ("serve.py", given)):
        monkeypatch.setattr(sys, "argv", [started])
        with pytest.raises(SystemExit) as caught, errors.report_user_errors():
            raise ValueError(given)
        assert caught.value.code == f"error: {shown}"


def test_the_home_of_nobody_is_a_mistake_of_the_user():
    with pytest.raises(SystemExit) as caught, errors.report_user_errors():
        TableFile("~nobody of this name/a.csv")
    assert str(caught.value.code).startswith("error: a path begins with ~ and the name of a user")


def test_python_runs_it_as_a_module_and_only_one_command_is_imported(run_python):
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['siamese', 'predict', {DETECTOR!r}, *{PAIR!r}]\n"
        "runpy.run_module('siamese', run_name='__main__')\n"
        "print(*sorted(name for name in sys.modules if name.startswith('siamese.commands.')))\n"
    )
    done = run_python("-c", program)
    answer, modules = done.stdout.splitlines()
    assert answer.startswith("duplicate")
    assert {name.rpartition(".")[2] for name in modules.split()} & set(COMMANDS) == {"predict"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("search", "pyarrow", "search"),
        ("mine", "scipy", "search"),
        ("export", "scipy", "export"),
        ("export", "onnx", "export"),
        ("serve", "uvicorn", "serve"),
    ],
)
def test_a_missing_extra_is_named_in_a_line_and_help_is_given_without_it(run_python, command, module, extra):
    program = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        f"sys.argv = ['siamese', {command!r}, *sys.argv[1:]]\n"
        "from siamese.commands.console import main\n"
        "main()\n"
    )

    done = run_python("-c", program, DETECTOR)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {module} is not installed: pip install 'siamese[{extra}]'\n"
    assert run_python("-c", program, "--help").returncode == 0


def test_another_missing_module_is_a_mistake_of_the_program():
    with pytest.raises(ModuleNotFoundError), errors.report_user_errors():
        raise ModuleNotFoundError("No module named 'siamese.nothing'", name="siamese.nothing")
