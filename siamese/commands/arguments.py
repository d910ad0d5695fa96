"""Settings: key=value words over the defaults of a file in conf, for programs that start without Hydra."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import siamese

PACKAGE = Path(siamese.__file__).parent
CONF = next(
    folder for folder in (PACKAGE / "conf", PACKAGE.parent / "conf") if folder.is_dir()
)  # installed, or a checkout


def command_line(program: str, words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Split the words of a command line into settings and what is none.

    Nested settings have dotted names. A group without any defaults takes whatever names are given and stays a dict.
    Where the default is a whole number or true or false, so must be what is given; an empty value means null.
    A word such as "x=1" that fits no setting is taken for a misspelt one.

    Args:
        program: conf/`program`.yaml holds the defaults.
        words: of the command line.

    Raises:
        ValueError: a word names a setting that does not exist, or has not the kind of value that it takes.

    >>> settings, questions = command_line("search", ["top=3", "where.topic=cards", "Is 1+1=2?"])
    >>> settings["top"], settings["where"], questions
    (3, {'topic': 'cards'}, ['Is 1+1=2?'])
    """
    settings = _dotted(yaml.safe_load((CONF / f"{program}.yaml").read_text(encoding="utf-8")))
    groups = {name.partition(".")[0] for name in settings}
    others = []
    for word in words:
        key, equals, value = word.partition("=")
        group, _, name = key.partition(".")
        looks_like_one = re.fullmatch(r"[a-z_.]+=\S*", word) is not None
        if not equals or not (looks_like_one or group in groups):
            others.append(word)
        elif settings.get(group) is not None and isinstance(settings[group], dict) and name:
            settings[group][name] = value
        elif key in settings and not isinstance(settings[key], dict):
            settings[key] = _value(key, value, settings[key])
        else:
            raise ValueError(f"there is no setting {key}; the settings are {', '.join(settings)}")
    return settings, others


def _value(key: str, text: str, default: Any) -> Any:
    """What `text` says, of the kind of the default."""
    if not isinstance(default, int):  # so is a bool
        return text or None
    value = yaml.safe_load(text)
    if type(value) is not type(default):
        kind = "true or false" if isinstance(default, bool) else "a whole number"
        raise ValueError(f"{key} must be {kind}, got {text!r}")
    return value


def _dotted(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _dotted(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat
