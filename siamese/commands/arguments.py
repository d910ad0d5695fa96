"""Settings: key=value words over the defaults of a file in conf, for programs that start without Hydra."""

import difflib
import math
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from siamese.commands.config_files import CONF, Setting, dotted, read_config_file
from siamese.commands.started import as_started
from siamese.data import labels

HELP = ("--help", "-h")
FOOT = "Errors are one line; with HYDRA_FULL_ERROR=1 in the environment they have a traceback."
FEW = 25  # settings that a message can list
WIDTH, COLUMN = 110, 34  # of the help: characters in a line, and where the comments start


def program_arguments(program: str, about: str, words: Sequence[str] | None = None) -> tuple[dict[str, Any], list[str]]:
    """The settings and the other words of a command line, by default this process's; --help prints all settings and exits.

    Args:
        program: conf/`program`.yaml holds the defaults.
        about: what the program does, with examples.
        words: of the command line.

    Raises:
        ValueError: as `command_line`.
    """
    words = sys.argv[1:] if words is None else words
    if any(word in HELP for word in words):
        head = "Settings, given as key=value (null, or nothing after the =, stands for no value):"
        settings = map(setting_text, read_config_file(CONF / f"{program}.yaml").settings)
        print(as_started("\n".join([about.strip(), "", head, *settings, "", FOOT])))
        sys.exit(0)
    return command_line(program, words)


def program_settings(program: str, about: str, words: Sequence[str] | None = None) -> dict[str, Any]:
    """As `program_arguments`, for a program that takes only settings.

    Raises:
        ValueError: a word is not a setting.
    """
    settings, others = program_arguments(program, about, words)
    if others:
        key, equals, _ = others[0].partition("=")
        raise ValueError(no_setting(key, settings) if equals else f"give settings as key=value; got {others[0]!r}")
    return settings


def command_line(program: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Split the words of a command line into the settings of conf/`program`.yaml and the others.

    Nested settings have dotted names. A group without defaults takes any names and stays a dict. A value is taken
    unchanged, with all its characters; "null" or no value means None. If the default is a whole number or a boolean,
    the value must be one, too. A word such as "x=1" that matches no setting counts as misspelt.

    Raises:
        ValueError: a word names a setting that does not exist, or has a value of the wrong type.

    >>> settings, questions = command_line("search", ["top=3", "where.topic=cards", "Is 1+1=2?"])
    >>> settings["top"], settings["where"], questions
    (3, {'topic': 'cards'}, ['Is 1+1=2?'])
    """
    settings = dotted(yaml.safe_load((CONF / f"{program}.yaml").read_text(encoding="utf-8")))
    groups = {name.partition(".")[0] for name in settings}
    others = []
    for word in words:
        key, equals, value = word.partition("=")
        group, _, name = key.partition(".")
        if not equals or not (group in groups or re.fullmatch(r"[a-z_.]+=\S*", word) or nearest(key, settings)):
            others.append(word)
        elif settings.get(group) is not None and isinstance(settings[group], dict) and name:
            settings[group][name] = value
        elif key in settings and not isinstance(settings[key], dict):
            settings[key] = _value(key, value, settings[key])
        elif key.rstrip(".") in settings and isinstance(settings[key.rstrip(".")], dict):
            raise ValueError(f"{key} takes names: give {key.rstrip('.')}.NAME=VALUE, got {word!r}")
        else:
            raise ValueError(no_setting(key, settings))
    return settings, others


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most similar to a misspelt one; None if none is.

    >>> nearest("trainig.epochs", ["training.epochs", "training.batch_size"])
    'training.epochs'
    """
    return next(iter(difflib.get_close_matches(name, list(names), 1, 0.7)), None)


def no_setting(name: str, names: Iterable[str]) -> str:
    """The message on a setting that does not exist.

    >>> no_setting("indx", ["top", "index"])
    'there is no setting indx; did you mean index?'
    """
    names = list(names)
    near = nearest(name, names)
    known = f"the settings are {', '.join(names)}" if len(names) <= FEW else "--help lists the settings"
    return f"there is no setting {name}; " + (f"did you mean {near}?" if near else known)


def setting_text(setting: Setting) -> str:
    """A setting as lines of a help: name and default, then the comment.

    >>> print(setting_text(Setting("top", 5, "answers to a question")))
      top=5                           answers to a question
    """
    return entry(f"{setting.name}={value_text(setting.default)}", setting.comment)


def entry(head: str, text: str) -> str:
    """Lines of a help, with the text in a column of its own."""
    lines = textwrap.wrap(text, WIDTH - COLUMN, break_on_hyphens=False)
    if len(head) + 3 > COLUMN or not lines:
        lines.insert(0, "")
    return "\n".join((f"  {head}" if at == 0 else "").ljust(COLUMN) + line for at, line in enumerate(lines)).rstrip()


def value_text(value: Any) -> str:
    """A default as one gives it on the command line.

    >>> [value_text(value) for value in (None, True, [1, "a"], "text", {})]
    ['null', 'true', '[1,a]', 'text', '{}']
    """
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _value(key: str, text: str, default: Any) -> Any:
    """The value of `text`, of the type of the default."""
    if isinstance(default, float):
        if not math.isfinite(number := labels.number(text)):
            raise ValueError(f"{key} must be a number, got {text!r}")
        return number
    if not isinstance(default, int):  # so is a bool
        return None if text in ("", "null") else text
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        value = None
    if type(value) is not type(default):
        kind = "true or false" if isinstance(default, bool) else "a whole number"
        raise ValueError(f"{key} must be {kind}, got {text!r}")
    return value
