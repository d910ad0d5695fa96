"""conf/README.md and the comments from which it is written."""

import pytest

from experiments import conf_readme
from siamese.commands.config_files import CONF, read_config_file

FILES = sorted(CONF.rglob("*.yaml"))


def test_it_is_up_to_date():
    assert conf_readme.FILE.read_text(encoding="utf-8") == conf_readme.text(), "run python -m experiments.conf_readme"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(CONF).as_posix())
def test_every_file_and_key_has_a_comment_and_a_place(file):
    read = read_config_file(file)
    assert read.about
    written = conf_readme.FILE.read_text(encoding="utf-8")
    for setting in read.settings:
        assert setting.comment, f"{setting.name} of {file.name} has no comment"
        assert f"| `{setting.name}` |" in written
