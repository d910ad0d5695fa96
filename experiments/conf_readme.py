"""Rebuild conf/README.md: every choice and setting, with the comments of the config files.

python -m experiments.conf_readme
"""

from collections.abc import Iterable, Iterator

from experiments.config_tree import ConfigTree, read_tree
from siamese.commands.arguments import value_text
from siamese.commands.config_files import CONF, ConfigFile, Setting, read_config_file
from siamese.data.folders import atomic_file

FILE = CONF / "README.md"
START = """# Choices and settings

<!-- written by python -m experiments.conf_readme from the comments of the config files -->

`--help` of a program prints its part of this page. `tower=conv1d` chooses the file `conf/tower/conv1d.yaml`;
`tower.dropout=0.1` changes a setting. Values are taken unchanged, so quote them for the shell alone:
`data.train="my pairs (1).csv"`. `null` stands for no value, `???` for one that must be given, and `~` at the start of a
path for the home directory. `--config-dir=FOLDER` adds your own folder with the same layout: `tower=mine` chooses
`FOLDER/tower/mine.yaml`. Experiments, studies and sweeps change several choices at once.
"""


def text() -> str:
    """The text of conf/README.md."""
    tree = read_tree("sweep", {}, [CONF])
    programs = {file.stem: read_config_file(file) for file in sorted(CONF.glob("*.yaml"))}
    groups = [*(group for group in tree.choices if "/" not in group), "sweep/sampler", "sweep/pruner", "hydra/launcher"]
    contents = ", ".join(f"[{group}](#{group.replace('/', '')})" for group in groups)
    parts = [START, f"Groups: {contents}. Settings of each program: [programs](#programs).\n"]
    parts += [part for group in groups for part in _group(group, tree)]
    parts += ["## Programs\n", *(part for name, file in programs.items() for part in _file(name, file))]
    return "\n".join(parts)


def _group(group: str, tree: ConfigTree) -> Iterator[str]:
    yield f"## {group}\n"
    for option in tree.options(group):
        name = f"{group}={option}" + (" (default)" if tree.choices.get(group) == option else "")
        yield from _file(name, read_config_file(CONF / group / f"{option}.yaml"))
    for file in sorted((CONF / group).glob("*/*.yaml")):
        if f"{group}/{file.parent.name}" not in tree.choices:
            yield from _file(f"{group}={file.parent.name}/{file.stem}", read_config_file(file))


def _file(name: str, file: ConfigFile) -> Iterator[str]:
    yield f"**{name}**: {' '.join(file.about.split())}\n"
    if file.settings:
        yield "\n".join(["| Key | Default | Meaning |", "|---|---|---|", *_rows(file.settings)]) + "\n"


def _rows(settings: Iterable[Setting]) -> Iterator[str]:
    for each in settings:
        cells = f"`{each.name}`", f"`{value_text(each.default)}`", each.comment
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def main() -> None:
    """Write the file."""
    with atomic_file(FILE) as file:
        file.write(text())
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
