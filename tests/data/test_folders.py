"""Files and folders that appear whole: what was there before stays until then, and nothing half-written is left."""

from pathlib import Path

import pytest

from siamese.data.folders import atomic_file, atomic_folder, atomic_path


def test_a_file_takes_its_name_when_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "out.png").write_bytes(b"before")
    with atomic_path("~/out.png") as new:
        assert new.name == "out.png"  # so that its suffix still gives the format
        new.write_bytes(b"\x89PNG")
        assert (tmp_path / "out.png").read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"\x89PNG"


def test_after_an_error_what_was_there_stays(tmp_path):
    (tmp_path / "out.csv").write_text("before")

    def write_half() -> None:
        with atomic_file(tmp_path / "out.csv") as file:
            file.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert (tmp_path / "out.csv").read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_new_file_can_be_read_by_those_whom_the_umask_lets(tmp_path):
    (tmp_path / "plain").write_text("a")
    with atomic_file(tmp_path / "atomic") as file:
        file.write("é\r\n")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert (tmp_path / "atomic").read_bytes() == "é\r\n".encode()


def test_a_folder_is_replaced_at_once_or_not_at_all(tmp_path):
    folder = tmp_path / "deep" / "out"
    for content in ("first", "second"):
        with atomic_folder(folder, lambda old: (old / "head").is_file()) as new:
            (new / "head").write_text(content)
            (new / content).touch()
    assert {path.name for path in folder.iterdir()} == {"head", "second"}
    with pytest.raises(RuntimeError), atomic_folder(folder, lambda old: True) as new:
        raise RuntimeError
    assert (folder / "head").read_text() == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for taken in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(ValueError, match="holds something else"), atomic_folder(taken, lambda old: False):
            pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_can_be_named_from_within(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_folder(Path(), lambda old: False) as new:
        (new / "head").touch()
    assert (tmp_path / "head").exists()
