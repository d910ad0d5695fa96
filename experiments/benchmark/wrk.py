"""wrk, an external load generator: what its clients see of an HTTP server that they all ask at the same time."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from experiments.benchmark.load import Seen

ANSWERED = 60  # seconds for an answer
SCRIPT = """
local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, {["Content-Type"] = "application/json"}, line)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = 0
  for _, count in pairs(summary.errors) do errors = errors + count end
  io.write(string.format('\\n{"answers": %d, "seconds": %f, "errors": %d, "ms50": %f, "ms99": %f}\\n',
    summary.requests, summary.duration / 1e6, errors, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def is_installed() -> bool:
    """Whether there is a command wrk."""
    return shutil.which("wrk") is not None


def load(address: str, bodies: Sequence[bytes], clients: int, seconds: int) -> Seen:
    """Let clients post bodies of JSON in a cycle, each the next one as soon as the last is answered.

    Raises:
        RuntimeError: wrk ended with an error, or a request was not answered with status 200.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder) / "post.lua", Path(folder) / "bodies.txt"
        script.write_text(SCRIPT)
        lines.write_bytes(b"\n".join(bodies))
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", f"--timeout={ANSWERED}s", f"-s{script}", address]
        done = subprocess.run([*command, "--", str(lines)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk ended with an error: {done.stderr.strip() or done.stdout.strip()}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["errors"]:
        raise RuntimeError(f"{found['errors']} requests to {address} failed")
    return Seen(found["answers"] / found["seconds"], found["ms50"], found["ms99"])
