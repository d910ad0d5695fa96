"""Runtime: what a detector's folder asks for, and the modules of the user's own that it needs."""

import sys

import pytest

from siamese.inference.load import load_network
from siamese.inference.network import NumpyNetwork
from siamese.inference.runtime import FILES, import_plugins


def test_numpy_reads_its_own_files(build_network, tmp_path):
    from siamese.inference.from_keras import numpy_network

    numpy_network(build_network()).save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(FILES["numpy"])
    assert isinstance(load_network("numpy", tmp_path), NumpyNetwork)


def test_plugins_are_imported(tmp_path, monkeypatch):
    (tmp_path / "my_parts_of_a_test.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import_plugins(None)
    import_plugins("my_parts_of_a_test, json")
    assert sys.modules["my_parts_of_a_test"].x == 1
    with pytest.raises(ValueError, match="plugins=no_such_module cannot be imported: No module named"):
        import_plugins("json,no_such_module")


def test_a_plugin_without_keras_starts_no_tensorflow(run_python):
    program = "import sys; from siamese.inference.runtime import import_plugins; import_plugins('json')"
    done = run_python("-c", f"{program}; print('tensorflow' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
