"""The command line of the programs whose config Hydra composes: help, own config folders, one-line mistakes, runs."""

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NoReturn, cast

from experiments.config_tree import ConfigTree, read_tree
from experiments.hydra_words import USER, as_overrides
from experiments.stages import doing, telling
from siamese.commands.arguments import FOOT, HELP, entry, nearest, no_setting, setting_text
from siamese.commands.config_files import CONF, Setting
from siamese.commands.errors import report_user_errors
from siamese.data.questions import UNDECODABLE

if TYPE_CHECKING:  # Hydra takes half a second to import, and help does not need it
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

CONFIG_DIR = ("--config-dir", "-cd")  # Hydra's names for a folder of the user's own config files
OPTIONS = """Options:
  --multirun, -m                  run once for each of several values, such as seed=0,1,2
  --config-dir DIR                a folder of your own with more options, such as DIR/tower/mine.yaml
  --cfg job                       print the composed config instead of running"""


def hydra_program(primary: str, about: str, task: str) -> None:
    """Compose the config that the command line chooses and run `task` on it, or with --multirun on each of several.

    Args:
        primary: conf/`primary`.yaml is the config.
        about: what the program does, with examples.
        task: "package.module:function", which takes the config; imported when it runs, as many import slowly.
    """
    with report_user_errors():
        folder, words = split_config_dir(sys.argv[1:])
        tree = tree_of(primary, words, folder)
        if any(word in HELP for word in words):
            print(hydra_help(about, tree))
            return
        with telling("starting"), hints(tree), hydra_over(folder, Path(sys.argv[0]).stem) as hydra:
            _run(hydra, primary, words, tree, partial(run_job, task, tree))


def run_job(task: str, tree: ConfigTree, cfg: "DictConfig") -> object:
    """Run one job of a program, in a process of the launcher."""
    with report_user_errors(), hints(tree):
        refuse_misspelt_nodes(cfg, tree)
        refuse_wrong_kinds(cfg, tree)
        function = resolve_name(task)  # TensorFlow takes seconds to import
        doing(None)
        return function(cfg)


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
    """The choices and settings after the words of a command line; ValueError if a word is not UTF-8."""
    if undecodable := [word for word in words if UNDECODABLE.search(word)]:
        raise ValueError(f"{undecodable[0]!r} is not UTF-8")
    chosen = dict(word.lstrip("+").split("=", 1) for word in words if "=" in word)
    return read_tree(primary, chosen, [CONF, *([folder] if folder else [])])


def hydra_help(about: str, tree: ConfigTree, settings: Sequence[Setting] = ()) -> str:
    """The help of a program: what it does, its choices, its settings and those of the choices."""
    lines = [about.strip(), "", OPTIONS]
    if tree.choices:
        lines += ["", "Choices, given as group=option (their settings show with --help):"]
    for group, option in tree.choices.items():
        others = ", ".join(each for each in tree.options(group) if each != option)
        text = tree.headline(f"{group}/{option}") + (f" [or {others}]" if others else "")
        lines.append(entry(f"{group}={option or 'null'}", text))
    lines += ["", "Settings, given as key=value (null stands for no value, ??? for one that must be given):"]
    return "\n".join([*lines, *map(setting_text, [*settings, *tree.settings.values()]), "", FOOT])


@contextmanager
def hydra_over(folder: Path | None, job: str = "job") -> "Iterator[Hydra]":
    """Initialize Hydra with conf/ and the user's own folder."""
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


@contextmanager
def hints(tree: ConfigTree) -> Iterator[None]:
    """Report in one line what is wrong in a config, and the nearest valid name.

    Raises:
        ValueError: in place of the errors of Hydra, and of a keyword that a function does not have.
    """
    try:
        yield
    except Exception as problem:
        text = f"{problem} {problem.__cause__ or ''}"
        if "unexpected keyword argument" in text:
            name = text.partition("unexpected keyword argument ")[2].split("'")[1]
            near = nearest(name, {each.rpartition(".")[2] for each in tree.settings})
            raise ValueError(
                f"{problem.__cause__ or problem}" + (f"; did you mean {near}?" if near else "")
            ) from problem
        if type(problem).__module__ != "hydra.errors" or "Error in call to target" in text:
            raise
        raise ValueError(_explanation(text, tree)) from problem


def refuse_misspelt_nodes(cfg: "DictConfig", tree: ConfigTree) -> None:
    """Find a misspelt node of an experiment file, which nothing reads.

    Raises:
        ValueError: the name is similar to that of another node.
    """
    known = {name.partition(".")[0].partition("/")[0] for name in tree.names()}
    for node in map(str, cfg):
        if node not in known and nearest(node, known):
            raise ValueError(no_setting(node, known))


def refuse_wrong_kinds(cfg: "DictConfig", tree: ConfigTree) -> None:
    """Find a list or a mapping where a setting has one value.

    Raises:
        ValueError: there is one.
    """
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(cfg, resolve=False)
    for name, setting in tree.settings.items():
        value: Any = values
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        kinds = dict if setting.default is None else (dict, list)
        is_part = isinstance(value, dict) and "_target_" in value
        if (
            isinstance(value, kinds)
            and not is_part
            and not (setting.default == "???" or isinstance(setting.default, dict | list))
        ):
            example = "" if setting.default is None else f", such as {setting.default}"
            raise ValueError(f"{name} takes one value{example}; got {value}")


def plain(cfg: "DictConfig") -> dict[str, Any]:
    """A composed config as dicts and lists, resolved.

    Raises:
        ValueError: a value is still missing.
    """
    from omegaconf import MissingMandatoryValue, OmegaConf

    try:
        return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True))
    except MissingMandatoryValue as problem:
        raise ValueError(f"{problem.full_key} must be given: {problem.full_key}=…") from None


def _explanation(text: str, tree: ConfigTree) -> str:
    """An error of Hydra in one line."""
    if missing := re.search(r"Could not find '(.*)/(.*)'", text):
        group, option = missing.groups()
        options = re.findall(r"^\t(\S+)$", text.partition("Available options")[2].partition("Config search")[0], re.M)
        if group not in tree.choices and (parent := group.rpartition("/")[0]) in tree.choices:
            folder = group.removeprefix(f"{parent}/")  # of options, such as experiment=knowledge/table
            option, options = f"{folder}/{option}", [f"{folder}/{each}" for each in tree.options(group)]
            group = parent
        if option in tree.options("study"):
            return f"there is no {group}={option}, but a study: python -m experiments.study name={option}"
        near = nearest(option, options)
        meant = f"did you mean {group}={near}? The" if near else "the"
        return f"there is no {group}={option}; {meant} options are {', '.join(options)}"
    if unknown := re.search(r"Could not override '([^']+)'", text):
        key = unknown[1]
        group = key.rpartition(".")[0]
        names = {each: tree.setting_names(f"{group}/{each}") for each in tree.options(group)}
        others = [each for each, own in names.items() if key.rpartition(".")[2] in own]
        if others and group in tree.choices:
            return f"there is no setting {key} with {group}={tree.choices[group]}; {group}={others[0]} has it"
        return no_setting(key, tree.names())
    return " ".join(text.split())


def _run(
    hydra: "Hydra", primary: str, words: Sequence[str], tree: ConfigTree, job: "Callable[[DictConfig], object]"
) -> None:
    """Follow the options; without any, run the job."""
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
