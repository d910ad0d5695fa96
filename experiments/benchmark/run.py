"""Run the benchmark: its parts, one after the other."""

from omegaconf import DictConfig, OmegaConf

from experiments.benchmark import fresh_process, machine
from experiments.benchmark.result import Result
from experiments.cli import plain
from siamese import tracking

PARTS = ("training", "encoding", "search", "mining", "preparing", "overhead", "growth", "comparing", "serving")


def run(cfg: DictConfig) -> dict[str, Result]:
    """Measure the chosen parts one after the other, each in a fresh process; print and track each."""
    config = plain(cfg)
    unknown = set(config["parts"]) - set(PARTS)
    if unknown or not config["parts"]:
        raise ValueError(f"parts must list some of {', '.join(PARTS)}; got {config['parts']}")
    tracking.connect(**config["tracking"])
    print(machine.in_words(), flush=True)
    results: dict[str, Result] = {}
    for part in config["parts"]:
        with tracking.tracked_run(part, "benchmark"):
            tracking.log_config({part: config[part]}, OmegaConf.to_yaml(cfg, resolve=True))
            tracking.log_environment(seed=0)
            tracking.set_tags(machine.description())
            result = fresh_process.call(f"experiments.benchmark.{part}:measure", **config[part])
            for repeat, metrics in enumerate(result.repeats()):
                tracking.log_metrics(metrics, "repeat", repeat)
            tracking.log_metrics(result.spreads(), "spread")
            for name, figure in result.drawings.items():
                tracking.log_figure(figure, name)
            tracking.log_page(result.markdown() + "\n", "table.md")
        print(f"\n## {part}\n\n{result.markdown()}", flush=True)
        results[part] = result
    return results
