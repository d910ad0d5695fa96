"""Run a study: train every cell of a grid of configs. Finished cells are not run again.

python -m experiments.study                     lists the studies and their questions
python -m experiments.study name=towers         runs one; started again, it continues
python -m experiments.study name=towers data=corpus_fr seed=0,1,2,3,4 hydra/launcher=workers
python -m experiments.study --config-dir=FOLDER name=mine

A study is a file of conf/study/, or of the folder study/ in a config folder of your own, with a Hydra grid. Every
choice and setting of experiments.train can be given too, with one value or several.
"""

import sys

from experiments.cli import hints, hydra_help, hydra_over, split_config_dir, tree_of
from siamese.commands.arguments import HELP, command_line, nearest, no_setting
from siamese.commands.config_files import CONF, read_config_file
from siamese.commands.errors import report_user_errors


def main() -> None:
    """Read the command line: the settings of conf/study.yaml, and overrides of the config; then run the study."""
    with report_user_errors():
        folder, words = split_config_dir(sys.argv[1:])
        settings = read_config_file(CONF / "study.yaml").settings
        own = [word for word in words if word.partition("=")[0] in {setting.name for setting in settings}]
        given, _ = command_line("study", own)
        others = [word for word in words if word not in own]
        name = given["name"]
        tree = tree_of("config", [f"study={name or 'null'}", *others], folder)
        studies = tree.options("study")
        about = "\n".join([__doc__, *(f"{each:<16}{tree.headline(f'study/{each}')}" for each in studies)])
        if any(word in HELP for word in words):
            print(hydra_help(about, tree, settings))
        elif name is not None:
            if name not in studies:
                near = nearest(name, studies)
                meant = f"; did you mean name={near}?" if near else ""
                raise ValueError(f"name must be one of the studies {', '.join(studies)}; got {name!r}{meant}")
            from experiments import grid  # imports MLflow, which help does not need

            with hints(tree), hydra_over(folder):
                grid.run(name, others, tree, given["restart"], given["take_over"])
        elif words:
            key = words[0].partition("=")[0]
            names = [*(setting.name for setting in settings), *tree.names()]
            raise ValueError("give the name of a study: name=…" if key in names else no_setting(key, names))
        else:
            print(about)


if __name__ == "__main__":
    main()
