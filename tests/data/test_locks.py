"""Locks: one at a time; who waits says for whom, and not for ever; a killed process leaves none."""

import os
import re
import signal
import time

import pytest

from siamese.data.locks import exclusive

HOLDER = """
import time
from pathlib import Path
from siamese.data.locks import exclusive

with exclusive(Path("folder"), 0, print):
    print("held", flush=True)
    time.sleep(60)
"""
ADDER = """
import sys, time
from pathlib import Path
from siamese.data.locks import exclusive

for _ in range(25):
    with exclusive(Path("count"), 60, lambda message: None):
        number = int(Path("count").read_text())
        time.sleep(0.001)
        Path("count").write_text(str(number + 1))
"""


def test_who_waits_names_the_process_and_gives_up(tmp_path, start_python):
    holder = start_python("-c", HOLDER, folder=tmp_path)
    assert holder.stdout.readline() == "held\n"
    told: list[str] = []
    by = rf"process {holder.pid} of \S+ \(since .*:.*\)"
    message = rf"/folder is still being changed by {by} after 0\.3 s; try again later$"
    with pytest.raises(TimeoutError, match=message), exclusive(tmp_path / "folder", 0.3, told.append):
        pass
    assert len(told) == 1
    assert re.fullmatch(rf"waiting for {by}, which changes {tmp_path}/folder", told[0])
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path / "folder", 0, told.append):  # what the killed one left is no lock
        assert str(os.getpid()) in (tmp_path / ".folder.lock").read_text()
    assert len(told) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_frees_it(tmp_path):
    with pytest.raises(RuntimeError), exclusive(tmp_path / "folder", 0, print):
        raise RuntimeError
    with exclusive(tmp_path / "folder", 0, print):
        pass


def test_three_processes_at_once_lose_nothing(tmp_path, start_python):
    (tmp_path / "count").write_text("0")
    adders = [start_python("-c", ADDER, folder=tmp_path) for _ in range(3)]
    ends = time.monotonic() + 60
    assert [adder.wait(ends - time.monotonic()) for adder in adders] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "75"
