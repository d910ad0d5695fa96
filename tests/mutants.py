"""Mutation check: how many small changes of the code at the heart of the project its tests notice.

A mutant is a module with one change that cosmic-ray makes: another operator, another number, a condition turned round. It
lives in a copy of the checkout, and the tests of its module run in a process forked from one that has imported TensorFlow,
until one fails. `python -m tests.mutants` tries some of each module, the same ones for the same seed, and prints the share
that is noticed and the changes that are not. It needs: pip install cosmic-ray==8.7.0
"""

import argparse
import ast
import contextlib
import difflib
import multiprocessing
import multiprocessing.util
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from siamese.inference.threads import cores

TESTS = {  # of each module
    "siamese/model/similarity.py": "model/test_similarity model/test_formulas model/test_network",
    "siamese/model/towers.py": "model/test_towers model/test_network",
    "siamese/model/layers.py": "model/test_layers model/test_hybrid model/test_towers model/test_network",
    "siamese/model/recurrent.py": "model/test_recurrent model/test_towers",
    "siamese/model/lstm.py": "model/test_recurrent model/test_towers",
    "siamese/model/gru.py": "model/test_recurrent model/test_towers",
    "siamese/model/attention.py": "model/test_attention model/test_towers",
    "siamese/model/manhattan.py": "model/test_manhattan model/test_similarity",
    "siamese/model/losses.py": "model/test_losses model/test_formulas model/test_network",
    "siamese/model/hybrid.py": "model/test_hybrid test_registered_parts",
    "siamese/model/joined.py": "model/test_joined inference/test_joined",
    "siamese/model/linear_map.py": "model/test_linear_map test_registered_parts",
    "siamese/model/powers.py": "model/test_similarity",
    "siamese/model/network.py": "model/test_network model/test_joined",
    "siamese/model/levels.py": "model/test_levels model/test_joined",
    "siamese/training/batches.py": "training/test_batches training/test_loop",
    "siamese/evaluation/metrics.py": "evaluation/test_metrics evaluation/test_significance",
    "siamese/evaluation/thresholds.py": "evaluation/test_thresholds evaluation/test_calibration evaluation/test_guarantees",
    "siamese/evaluation/guarantees.py": "evaluation/test_guarantees",
    "siamese/evaluation/calibration.py": "evaluation/test_calibration evaluation/test_report test_detector",
    "siamese/evaluation/power_law.py": "evaluation/test_power_law",
    "siamese/data/splits.py": "data/test_splits data/test_sources",
    "siamese/model/products.py": "training/test_precision",
    "siamese/training/step.py": "training/test_loop training/test_devices model/test_joined",
    "siamese/training/precision.py": "training/test_precision",
    "siamese/retrieval/block_maxima.py": "retrieval/test_exact_search",
    "siamese/retrieval/exact_search.py": "retrieval/test_exact_search",
    "siamese/retrieval/cell_pairs.py": "retrieval/test_cell_pairs retrieval/test_radius_pairs",
    "siamese/retrieval/radius_pairs.py": "retrieval/test_radius_pairs",
    "siamese/serving/lanes.py": "serving/test_lanes",
    "siamese/serving/protocol.py": "serving/test_protocol",
}
PRELOADED = ("tensorflow", "keras", "sklearn.linear_model", "matplotlib.pyplot", "hypothesis", "pandas")
FLAGS = ("-x", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=--doctest-modules -m 'not stress'")
LONGEST_S = 300
SHOWN = 100  # letters of a line


class Mutant(NamedTuple):
    """A change: the operator of cosmic-ray, and which of the places where it applies."""

    module: str
    operator: str
    occurrence: int
    line: int


def mutants(module: str) -> list[Mutant]:
    """One change for each place and kind of change, in the order of the file. Annotations are left alone: nothing reads them."""
    import cosmic_ray.plugins
    import parso
    from cosmic_ray.ast import ast_nodes

    source = Path(module).read_text(encoding="utf-8")
    annotations = _annotations(source)
    nodes = list(ast_nodes(parso.parse(source)))
    found: dict[tuple, list[Mutant]] = {}
    for name in sorted(cosmic_ray.plugins.operator_names()):
        kind = name.split("/")[1].split("_")[0]
        with contextlib.suppress(TypeError):  # of operators that need arguments
            operator = cosmic_ray.plugins.get_operator(name)()
            places = [place for node in nodes for place in operator.mutation_positions(node)]
            for occurrence, (start, _) in enumerate(places):
                if not any(first <= start < last for first, last in annotations):
                    found.setdefault((start, kind), []).append(Mutant(module, name, occurrence, start[0]))
    return [random.Random(str(place)).choice(variants) for place, variants in sorted(found.items())]


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where the annotations of types start and end, as line and column."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for field in ("annotation", "returns"):
            if (there := getattr(node, field, None)) is not None:
                found.append(((there.lineno, there.col_offset), (there.end_lineno, there.end_col_offset)))
    return found


def mutated(mutant: Mutant, source: str) -> str:
    """The source of the module with the change."""
    import cosmic_ray.plugins
    from cosmic_ray.mutating import mutate_code

    return mutate_code(source, cosmic_ray.plugins.get_operator(mutant.operator)(), mutant.occurrence)


def _copy_checkout() -> None:
    """A copy of the checkout of its own for each process that tries mutants, which works there from now on."""
    scratch = tempfile.TemporaryDirectory(prefix="mutants-")
    multiprocessing.util.Finalize(None, scratch.cleanup, exitpriority=1)  # a process of a pool ends without atexit
    folder = Path(scratch.name)
    files = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split("\n")
    for name in filter(os.path.isfile, files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, folder / name)
    os.chdir(folder)


def _try(mutant: Mutant) -> tuple[Mutant, str, str]:
    """A mutant, what became of it (noticed, not noticed or endless), and its changed lines."""
    file = Path(mutant.module)
    source = file.read_text(encoding="utf-8")
    changed = mutated(mutant, source)
    file.write_text(changed, encoding="utf-8")
    try:
        code = _test(mutant.module)
    finally:
        file.write_text(source, encoding="utf-8")
    lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
    change = " -> ".join(
        line[1:].strip()[:SHOWN] for line in lines if line[:3] not in ("---", "+++") and line[0] != "@"
    )
    return mutant, {0: "not noticed", None: "endless"}.get(code, "noticed"), change


def _test_unchanged(module: str) -> tuple[str, int | None, float]:
    started = time.monotonic()
    return module, _test(module), time.monotonic() - started


def _test(module: str) -> int | None:
    """The exit code of the tests of a module, as they are on disk in this moment; None after LONGEST_S."""
    child = os.fork()
    if not child:
        os.setsid()
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        sys.path[0:0] = [str(Path.cwd())]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("siamese", "tests")]:
            del sys.modules[name]
        files = [module, *(f"tests/{name}.py" for name in TESTS[module].split())]
        os._exit(int(pytest.main([*FLAGS, *files])))
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    """Try mutants, and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), help="paths as siamese/data/splits.py; all without")
    parser.add_argument("--each", type=int, default=40, help="mutants that are tried of each module")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for package in PRELOADED:
        import_module(package)
    tried: list[Mutant] = []
    for module in options.modules:
        every = mutants(module)
        tried += random.Random(options.seed).sample(every, min(options.each, len(every)))
    with multiprocessing.get_context("fork").Pool(cores(), _copy_checkout) as pool:
        for module, code, seconds in pool.imap(_test_unchanged, options.modules):
            print(f"{module}: its tests take {seconds:.0f} s", file=sys.stderr, flush=True)
            if code != 0:
                sys.exit(f"error: the tests of {module} fail without any change; run: python -m pytest {TESTS[module]}")
        counts: dict[str, Counter[str]] = {module: Counter() for module in options.modules}
        for number, (mutant, became, change) in enumerate(pool.imap_unordered(_try, tried), start=1):
            counts[mutant.module][became] += 1
            if became == "not noticed":
                print(f"{mutant.module}:{mutant.line}  {change}", flush=True)
            if sys.stderr.isatty() or number % 50 == 0:
                print(f"{number} of {len(tried)}", file=sys.stderr, flush=True)
    rows = [(module, sum(each.values()), each["not noticed"]) for module, each in counts.items()]
    for module, number, missed in [*rows, ("all", sum(row[1] for row in rows), sum(row[2] for row in rows))]:
        print(f"{module:36} {number:5} mutants, noticed {1 - missed / max(1, number):.1%}")


if __name__ == "__main__":
    main()
