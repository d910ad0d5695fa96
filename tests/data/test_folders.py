"""Files and folders that appear whole: what was there before stays until then, and nothing half-written is left."""

import resource
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from siamese.data import folders
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


def test_two_writers_at_once_leave_one_whole_and_nothing_else(tmp_path):
    with atomic_folder(tmp_path / "out", lambda old: True) as slow:
        (slow / "head").write_text("slow")
        with atomic_folder(tmp_path / "out", lambda old: True) as quick:
            (quick / "head").write_text("quick")
        with atomic_file(tmp_path / "out.csv") as one, atomic_file(tmp_path / "out.csv") as other:
            one.write("one")
            other.write("other")
        assert (tmp_path / "out" / "head").read_text() == "quick"
    assert (tmp_path / "out" / "head").read_text() == "slow"
    assert (tmp_path / "out.csv").read_text() == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.csv"]


def test_a_folder_that_comes_meanwhile_is_not_replaced_unseen(tmp_path):
    def write_while_another_does() -> None:
        with atomic_folder(tmp_path / "out", lambda old: False):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "thesis.txt").touch()

    with pytest.raises(ValueError, match="holds something else"):
        write_while_another_does()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]


WRITER = """
import sys
from itertools import count
from pathlib import Path
from siamese.data.folders import atomic_folder

for number in count():
    with atomic_folder(Path("out"), lambda old: True) as new:
        for name in ("first", "second"):
            (new / name).write_text(f"{number} " * 2_000)
    if number == 0:
        print("written", flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_a_whole_folder_and_there_is_none_without_one(tmp_path, start_python):
    left = 0
    for number in range(8):
        writer = start_python("-c", WRITER, folder=tmp_path)
        assert writer.stdout.readline() == "written\n"
        ends = time.monotonic() + 0.02 + 0.0137 * number
        while time.monotonic() < ends:
            assert (tmp_path / "out").is_dir()
        writer.kill()
        writer.wait()
        first, second = ((tmp_path / "out" / name).read_text() for name in ("first", "second"))
        assert first == second != ""
        left += len(list(tmp_path.glob(".out.*.part")))
    assert left > 0  # else no moment was one at which something is left
    with atomic_folder(tmp_path / "out", lambda old: True):
        assert len(list(tmp_path.glob(".out.*.part"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


KILLED_BETWEEN = """
import os, signal
from pathlib import Path
from siamese.data import folders

folders._exchange_at_once = lambda *names: False
replace, tries = Path.replace, []

def die_at_the_second(path, name):
    tries.append(path.name)
    if tries.count("new") == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, name)

Path.replace = die_at_the_second
with folders.atomic_folder(Path("out"), lambda old: True) as new:
    (new / "head").write_text("new")
"""


def test_where_names_cannot_be_exchanged_the_next_writer_takes_back_what_a_kill_took_away(tmp_path, run_python):
    with atomic_folder(tmp_path / "out", lambda old: True) as new:
        (new / "head").write_text("old")
    assert run_python("-c", KILLED_BETWEEN, folder=tmp_path).returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "out", lambda old: True):
        raise RuntimeError
    assert (tmp_path / "out" / "head").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_without_an_exchange_a_folder_is_replaced_too(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_exchange_at_once", lambda *names: False)
    test_a_folder_is_replaced_at_once_or_not_at_all(tmp_path)


def test_a_scratch_folder_of_a_process_that_lives_stays(tmp_path):
    with atomic_path(tmp_path / "out") as one, atomic_path(tmp_path / "out") as other:
        assert one.parent.is_dir()
        assert other.parent.is_dir()
        one.write_text("one")
        other.write_text("other")


def test_an_error_names_the_file_and_not_its_scratch_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    for taken, kind in ((tmp_path / "none" / "out.csv", FileNotFoundError), (tmp_path / "folder", IsADirectoryError)):
        with pytest.raises(kind) as caught, atomic_file(taken):
            pass
        assert caught.value.filename == str(taken)
        assert ".part" not in str(caught.value)


def test_a_file_larger_than_it_may_be_is_named(tmp_path):
    (tmp_path / "out").write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*/out'"), atomic_file(tmp_path / "out") as file:
            file.write("x" * 2**17)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "out").read_text() == "before"


def test_a_full_disk_names_what_could_not_be_written_and_keeps_what_was_there(full_disk):
    (full_disk / "out").write_text("before")
    with atomic_folder(full_disk / "folder", lambda old: True) as new:
        (new / "head").write_text("before")
    for write in (lambda path: path.write_bytes(b"x" * 2**20), lambda path: np.save(path, np.zeros(2**17))):
        with pytest.raises(OSError, match=r"No space left on device: '.*/out'$"), atomic_path(full_disk / "out") as new:
            write(new)
        with pytest.raises(OSError, match=r"No space left on device: '.*/folder'$"):  # noqa: SIM117
            with atomic_folder(full_disk / "folder", lambda old: True) as new:
                write(new / "large")
    assert (full_disk / "out").read_text() == (full_disk / "folder" / "head").read_text() == "before"
    assert sorted(path.name for path in full_disk.iterdir()) == ["folder", "out"]
