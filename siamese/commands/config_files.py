"""The files of conf/ as documentation: their settings with defaults and comments, read without Hydra.

The comment of a setting follows it on its line, or stands on lines above it. The first comment of a file describes the
file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "conf"
CONF = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "conf"  # of a checkout
GLOBAL = "# @package _global_"  # in the first line of a file whose keys start at the root of the config
NO_SETTINGS = ("defaults", "hydra", "_target_", "_partial_")  # keys of Hydra


@dataclass(frozen=True)
class Setting:
    """A key of a config file."""

    name: str  # dotted, from the root of the file
    default: Any  # its value in the file
    comment: str  # its meaning


@dataclass(frozen=True)
class ConfigFile:
    """A config file and its comments."""

    about: str  # its first comment, with the line breaks of the file
    is_global: bool  # whether its keys start at the root of the config
    defaults: list[Any]  # its Hydra defaults list
    settings: list[Setting]  # its keys, in order


def read_config_file(file: Path) -> ConfigFile:
    """Read a file of conf/, or of a user's own folder, with its comments; ValueError if it is no YAML mapping."""
    text, values = "", None
    try:
        text = file.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise ValueError(f"{file} is no YAML file: {' '.join(str(problem).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{file} must hold settings, key: value in each line")
    is_global = text.startswith(GLOBAL)
    lines = text.splitlines()
    end = next((at for at in range(len(lines)) if not lines[at].startswith("#")), len(lines))
    about = "\n".join(_uncommented(line) for line in lines[int(is_global) : end])
    lines[:end] = [""] * end
    return ConfigFile(about, is_global, values.get("defaults", []), list(_settings(yaml.compose(text), values, lines)))


def dotted(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {prefix + name: value}
    return flat


def _settings(node: yaml.Node | None, values: dict, lines: list[str], prefix: str = "") -> Iterator[Setting]:
    """The settings below a mapping, with the comments of its lines."""
    for key_node, value_node in node.value if isinstance(node, yaml.MappingNode) else ():
        key, value = key_node.value, values[key_node.value]
        if key in NO_SETTINGS:
            continue
        comment = _comment(key_node, value_node, lines)
        if not isinstance(value, dict) or not value:
            yield Setting(prefix + key, value, comment)
        elif set(value) <= set(NO_SETTINGS):
            yield Setting(prefix + key, value["_target_"], comment)
        else:
            yield from _settings(value_node, value, lines, f"{prefix}{key}.")


def _comment(key: yaml.Node, value: yaml.Node, lines: list[str]) -> str:
    line = key.start_mark.line
    above = line
    while above and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
    mark = key.end_mark if is_block else value.end_mark
    _, _, behind = lines[mark.line][mark.column :].partition("#")
    return " ".join(filter(None, [*map(_uncommented, lines[above:line]), behind.strip()]))


def _uncommented(line: str) -> str:
    return line.strip().removeprefix("#").removeprefix(" ")
