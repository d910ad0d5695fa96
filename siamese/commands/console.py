"""The console command `siamese`: runs the command that its first word names, and imports no other.

siamese predict "How do I reset my password?" "I forgot my password, what now?"
siamese search --help
"""

import ast
import sys
from importlib import import_module
from pathlib import Path

from siamese.commands.arguments import HELP, nearest, program_arguments
from siamese.commands.errors import report_user_errors
from siamese.commands.started import COMMANDS


def main() -> None:
    """Run one command, or list them all."""
    name, *words = sys.argv[1:] or ["--help"]
    with report_user_errors():
        if name in HELP:
            print(overview())
        elif name == "--version":
            print(f"siamese {import_module('siamese').__version__}")
        else:
            _run(name, words)


def overview() -> str:
    """All commands with a line each.

    >>> print(overview().splitlines()[2])
      predict   Do two questions ask the same thing? Ask a trained detector.
    """
    lines = [f"  {name:<8}  {_docstring(name).splitlines()[0]}" for name in COMMANDS]
    return "\n".join(["usage: siamese COMMAND [key=value …] [text …]", "", *lines, "", "siamese COMMAND --help"])


def _run(name: str, words: list[str]) -> None:
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        meant = f"did you mean {near}?" if near else f"the commands are {', '.join(COMMANDS)}"
        raise ValueError(f"there is no command {name}; {meant}")
    sys.argv = [f"siamese {name}", *words]
    if set(HELP) & set(words):
        program_arguments(name, _docstring(name))  # also where the command's extra is not installed
    import_module(f"siamese.commands.{name}").main()


def _docstring(name: str) -> str:
    """Of a command's module, which is not imported."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)) or ""
