"""The command line of the programs whose config Hydra composes.

A word key=value is read as the programs without Hydra read it: the value arrives as it stands, be there spaces,
accents, parentheses, =, commas, quotes or ~ in it. Where Hydra's grammar would fail or read another text, the value is
passed on in quotes. What it reads as something other than a text stays an expression of Hydra:

    null, or nothing after the =            no value
    12, 1e-3, true, [a,b], {a: 1}           a number, a truth value, a list, a dict
    ${key}                                  an interpolation, anywhere in a value
    a,b  choice(a,b)  range(1,4)            several values: with --multirun and in a study. Elsewhere they are a text if
                                            the default of the key is one or null, otherwise a mistake
    +key=value  ++key=value  ~key           keys that are added or taken away

Choices of a group (tower=dense) are read like values. A file whose name is such an expression is named with its
folder: ./null.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from experiments.config_tree import ConfigTree, read_tree
from siamese.commands.arguments import FOOT, HELP, entry, nearest, no_setting, setting_text
from siamese.commands.config_files import CONF, Setting
from siamese.commands.errors import report_user_errors

if TYPE_CHECKING:  # Hydra takes half a second to start, which a help need not wait for
    from hydra._internal.hydra import Hydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import DictConfig

CONFIG_DIR = ("--config-dir", "-cd")  # Hydra's names for a folder of the user's own config files
USER = "command-line"  # what Hydra calls that folder
OPTIONS = """Options:
  --multirun, -m                  run once for each of several values, such as seed=0,1,2
  --config-dir DIR                a folder of your own with more options, such as DIR/tower/mine.yaml
  --cfg job                       print the composed config instead of running"""


def hydra_program(primary: str, about: str, task: "Callable[[DictConfig], object]") -> None:
    """Compose the config that the command line chooses and run `task` on it, or with --multirun on each of several.

    Args:
        primary: conf/`primary`.yaml is the config.
        about: what the program does, with examples.
        task: a function of a module that other processes can import.
    """
    with report_user_errors():
        folder, words = split_config_dir(sys.argv[1:])
        tree = tree_of(primary, words, folder)
        if any(word in HELP for word in words):
            print(hydra_help(about, tree))
            return
        with hints(tree), hydra_over(folder, Path(sys.argv[0]).stem) as hydra:
            _run(hydra, primary, words, tree, partial(run_job, task, tree))


def run_job(task: "Callable[[DictConfig], object]", tree: ConfigTree, cfg: "DictConfig") -> object:
    """Run one job of a program, in whatever process a launcher chose."""
    with report_user_errors(), hints(tree):
        refuse_misspelt_nodes(cfg, tree)
        return task(cfg)


def split_config_dir(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The folder of --config-dir, absolute, and the other words.

    Raises:
        ValueError: there is no such folder.
    """
    folder, others = None, list(words)
    for at, word in reversed(list(enumerate(words))):
        name, equals, value = word.partition("=")
        if name in CONFIG_DIR:
            value = value if equals else " ".join(others[at + 1 : at + 2])
            folder = Path(value).expanduser().absolute()
            del others[at : at + (1 if equals else 2)]
    if folder is not None and not folder.is_dir():
        raise ValueError(f"--config-dir must name a folder of config files; {folder} is none")
    return folder, others


def tree_of(primary: str, words: Sequence[str], folder: Path | None) -> ConfigTree:
    """The choices and settings that words of a command line leave or make."""
    chosen = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    return read_tree(primary, chosen, [CONF, *([folder] if folder else [])])


def hydra_help(about: str, tree: ConfigTree, settings: Sequence[Setting] = ()) -> str:
    """What a program does, its choices, its own settings and those that the choices bring."""
    choices = []
    for group, option in tree.choices.items():
        others = ", ".join(each for each in tree.options(group) if each != option)
        said = tree.headline(f"{group}/{option}")
        choices.append(entry(f"{group}={option or 'null'}", f"{said} [or {others}]" if others else said))
    return "\n".join(
        [
            about.strip(),
            "",
            OPTIONS,
            *(["", "Choices, given as group=option (their settings show with --help):", *choices] if choices else []),
            "",
            "Settings, given as key=value (null stands for no value, ??? for one that must be given):",
            *map(setting_text, [*settings, *tree.settings.values()]),
            "",
            FOOT,
        ]
    )


@contextmanager
def hydra_over(folder: Path | None, job: str = "job") -> "Iterator[Hydra]":
    """Hydra with conf/ and the user's own folder, for everything that is composed inside."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra
    from hydra.version import setbase

    setbase("1.3")
    search_path = create_config_search_path(str(CONF))
    if folder:
        search_path.prepend(USER, f"file://{folder}", SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2(job, search_path)
    finally:
        GlobalHydra.instance().clear()


def as_overrides(words: Sequence[str], tree: ConfigTree, several: bool) -> list[str]:
    """Words of a command line as Hydra's grammar reads them; see the head of this module.

    Args:
        words: of the command line.
        tree: with the defaults of the settings.
        several: whether a word may have several values.

    Raises:
        ValueError: a word is no setting, or has several values where it must not.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    return [_as_override(word, parser, tree, several) for word in words]


def _as_override(word: str, parser: "OverridesParser", tree: ConfigTree, several: bool) -> str:
    from hydra.errors import HydraException

    match = re.fullmatch(r"(\+{0,2}([^=~+\s]+))=(.*)", word, re.DOTALL)
    if not match:
        if word.startswith("~"):
            return word
        near = nearest(word.partition("=")[0], tree.names())
        raise ValueError(f"give settings as key=value; got {word!r}" + (f"; did you mean {near}=…?" if near else ""))
    head, key, text = match.groups()
    if text == "":
        return f"{head}=null"
    try:
        override = parser.parse_override(f"{key}={text}")
    except HydraException:
        return f"{head}={_quoted(text)}"
    if override.is_sweep_override():
        if several:
            return word
        known = tree.settings.get(key)
        if key in tree.choices or (known and not isinstance(known.default, str | None)):
            raise ValueError(f"{word} has several values; with --multirun the program runs once for each")
        return f"{head}={_quoted(text)}"
    value: Any = override.value()
    is_text = isinstance(value, str) and "${" not in text
    return f"{head}={_quoted(text)}" if is_text and text != value else word


def _quoted(text: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(text, Quote.double).with_quotes()


def as_words(overrides: Sequence[str]) -> list[str]:
    """The words of a command line that compose what overrides do for the job that runs: the inverse of `as_overrides`.

    The user's own config folder comes first.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words, parser = [], OverridesParser.create()
    if HydraConfig.initialized():
        sources = HydraConfig.get().runtime.config_sources
        words = [f"--config-dir={each.path}" for each in sources if each.provider == USER]
    for each in overrides:
        head, _, value = each.partition("=")
        words.append(f"{head}={parser.parse_override(each).value()}" if value[:1] in ('"', "'") else each)
    return words


@contextmanager
def hints(tree: ConfigTree) -> Iterator[None]:
    """Say in one line what in a config is wrong and what it might have been meant to be.

    Raises:
        ValueError: in place of the errors of Hydra, and of a keyword that a function does not have.
    """
    try:
        yield
    except Exception as problem:
        text = f"{problem} {problem.__cause__ or ''}"
        if "unexpected keyword argument" in text:
            said = f"{problem.__cause__ or problem}"
            name = text.partition("unexpected keyword argument ")[2].split("'")[1]
            near = nearest(name, {each.rpartition(".")[2] for each in tree.settings})
            raise ValueError(said + (f"; did you mean {near}?" if near else "")) from problem
        if type(problem).__module__ != "hydra.errors" or "Error in call to target" in text:
            raise
        raise ValueError(_explanation(text, tree)) from problem


def refuse_misspelt_nodes(cfg: "DictConfig", tree: ConfigTree) -> None:
    """Find a node of an experiment's file that nothing reads, because its name is misspelt.

    Raises:
        ValueError: the name is much like that of another node.
    """
    known = {name.partition(".")[0].partition("/")[0] for name in tree.names()}
    for node in map(str, cfg):
        if node not in known and nearest(node, known):
            raise ValueError(no_setting(node, known))


def _explanation(text: str, tree: ConfigTree) -> str:
    """An error of Hydra in one line."""
    if missing := re.search(r"Could not find '(.*)/(.*)'", text):
        group, option = missing.groups()
        options = re.findall(r"^\t(\S+)$", text.partition("Available options")[2].partition("Config search")[0], re.M)
        near = nearest(option, options)
        meant = f"did you mean {group}={near}? The" if near else "the"
        return f"there is no {group}={option}; {meant} options are {', '.join(options)}"
    if unknown := re.search(r"Could not override '([^']+)'", text):
        key = unknown[1]
        group = key.rpartition(".")[0]
        others = [each for each in tree.options(group) if _has(tree, f"{group}/{each}", key)]
        if others and group in tree.choices:
            return f"there is no setting {key} with {group}={tree.choices[group]}; {group}={others[0]} has it"
        return no_setting(key, tree.names())
    return " ".join(text.split())


def _has(tree: ConfigTree, name: str, key: str) -> bool:
    file = tree.file(name)
    return file is not None and key.rpartition(".")[2] in [setting.name for setting in file.settings]


def _run(
    hydra: "Hydra", primary: str, words: Sequence[str], tree: ConfigTree, job: "Callable[[DictConfig], object]"
) -> None:
    """Do what the options say; without any, run the job."""
    from hydra.types import RunMode

    parser = _Options(add_help=False, allow_abbrev=False)
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("words", nargs="*")
    options = parser.parse_intermixed_args(list(words))
    overrides = as_overrides(options.words, tree, options.multirun)
    if options.cfg:
        hydra.show_cfg(primary, overrides, options.cfg, package=None)
    elif options.multirun or hydra.get_mode(primary, overrides) == RunMode.MULTIRUN:
        hydra.multirun(primary, job, [*overrides, "hydra.mode=MULTIRUN"])
    else:
        hydra.run(primary, job, [*overrides, "hydra.mode=RUN"])


class _Options(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; --help shows what can be given")
