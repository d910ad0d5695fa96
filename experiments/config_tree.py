"""The choices of conf/ and their settings, read from its files without Hydra, which is slow to import.

For help, hints and conf/README.md only: Hydra composes the config.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from siamese.commands.config_files import ConfigFile, Setting, read_config_file

NO_OPTION = (None, "null", "")
LAUNCHER = "hydra/launcher"


@dataclass
class ConfigTree:
    """A primary config with the options that are chosen."""

    folders: Sequence[Path]  # of config files, in the order of the search
    choices: dict[str, str | None] = field(default_factory=dict)  # group -> option that is chosen, or None
    settings: dict[str, Setting] = field(default_factory=dict)  # by name

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return sorted({file.stem for folder in self.folders for file in (folder / group).glob("*.yaml")})

    def file(self, name: str) -> ConfigFile | None:
        """The config file conf/`name`.yaml, None if there is none."""
        files = (folder / f"{name}.yaml" for folder in self.folders)
        return next((read_config_file(file) for file in files if file.is_file()), None)

    def headline(self, name: str) -> str:
        """The first line of the comment at the head of conf/`name`.yaml; "" without one."""
        file = self.file(name)
        return file.about.partition("\n")[0] if file else ""

    def setting_names(self, name: str) -> list[str]:
        """The settings of conf/`name`.yaml itself."""
        file = self.file(name)
        return [setting.name for setting in file.settings] if file else []

    def names(self) -> list[str]:
        """All names before the = of a word: groups and settings."""
        return [*self.choices, *self.settings]


def read_tree(primary: str, words: Mapping[str, str], folders: Sequence[Path]) -> ConfigTree:
    """The choices and settings of a primary config with the words of a command line, key -> value."""
    tree = ConfigTree(folders)
    _choose(tree, primary)
    tree.choices |= {group: words[group] for group in tree.choices if group in words}
    for group, option in list(tree.choices.items()):
        file = None if option in NO_OPTION else tree.file(f"{group}/{option}")
        for overridden, value in _defaults(file) if file else ():
            if overridden:
                tree.choices[overridden] = value
    tree.choices |= {group: words[group] for group in tree.choices if group in words}
    chosen = [(f"{group}/{option}", group) for group, option in tree.choices.items() if option not in NO_OPTION]
    overlays = [name for name, _ in chosen if (file := tree.file(name)) and file.is_global]
    for name, group in chosen:
        if group != LAUNCHER and name not in overlays:
            _settle(tree, name, group)
    for name in [primary, *overlays]:
        _settle(tree, name, "")
    return tree


def _choose(tree: ConfigTree, primary: str) -> None:
    file = tree.file(primary)
    for group, option in _defaults(file) if file else ():
        if group:
            tree.choices[group] = option
        else:
            _choose(tree, str(option))


def _defaults(file: ConfigFile) -> Iterator[tuple[str, str | None]]:
    """Group and option of each entry of a defaults list; a file that it includes has no group."""
    for each in file.defaults:
        for key, option in each.items() if isinstance(each, dict) else [("", each)]:
            group = key.removeprefix("override ").lstrip("/").partition("@")[0]
            if option != "_self_" and group != "hydra/job_logging":
                yield group, option


def _settle(tree: ConfigTree, name: str, group: str) -> None:
    """Add the settings of a file to those of the tree, after those of the files that it includes."""
    file = tree.file(name)
    for _, included in () if file is None else [each for each in _defaults(file) if not each[0]]:
        _settle(tree, f"{group}/{included}".lstrip("/"), group)
    prefix = "" if file is None or file.is_global or not group else group.replace("/", ".") + "."
    nodes = {name.partition(".")[0] for name in tree.names()}
    for setting in file.settings if file else ():
        if file and file.is_global and setting.name.partition(".")[0] not in nodes:
            continue  # misspelt, or used only by interpolations of the file
        known = tree.settings.get(prefix + setting.name)
        comment = setting.comment or (known.comment if known else "")
        tree.settings[prefix + setting.name] = Setting(prefix + setting.name, setting.default, comment)
