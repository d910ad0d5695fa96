"""compare: tracked runs in, a conclusion out; runs that were measured differently are never ranked together."""

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from experiments import compare as program
from experiments import compare_runs as compare
from experiments import readme_results
from experiments.benchmark import comparing
from siamese import tracking
from siamese.commands.arguments import command_line
from siamese.comparison import figures as draw
from siamese.comparison.importance import importances
from siamese.comparison.options import group_runs
from siamese.data.pairs import QuestionPairs
from siamese.evaluation.calibration import Calibration
from siamese.evaluation.report import report
from siamese.tracking.queries import TrackedRun, find_runs, tracked

PAIRS = 300
ENDS = ("low", "high")
DIGESTS = {"dev": "d", "test": "t", "train": "all", "drawn_from": "all"}
names = (f"tests {number}" for number in itertools.count())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = mlflow.get_tracking_uri()
        yield folder
        mlflow.set_tracking_uri(before)


@pytest.fixture
def store(folder) -> dict[str, str]:
    """An empty experiment of the store, as settings of the program."""
    place = {"tracking.uri": f"sqlite:///{folder}/mlflow.db", "tracking.experiment": next(names)}
    tracking.connect(*place.values())
    return place


@pytest.fixture(scope="module")
def questions() -> dict[str, QuestionPairs]:
    """Made pairs of two splits; every third is a duplicate."""
    label = np.arange(PAIRS) % 3 == 0
    return {
        split: QuestionPairs.from_texts(
            [f"{split} question {number}" for number in range(PAIRS)],
            [f"{split} answer {number}" for number in range(PAIRS)],
            label.astype(float),
        )
        for split in ("dev", "test")
    }


@pytest.fixture
def track(questions):
    """A function that tracks a run whose similarities have a given noise, and returns its id."""

    def track(
        option: str,
        seed: int,
        noise: float,
        kind: str = "model",
        digests: dict[str, str] = DIGESTS,
        pairs: dict[str, QuestionPairs] = questions,
        size: int = 5000,
        parent: str | None = None,
        tags: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
    ) -> str:
        own = {"seed": str(seed), "data": "made pairs", "metrics_version": "2"}
        own |= {"config_digest": f"digest of {option}", "option": option} if kind == "model" else {"baseline": option}
        own |= {f"data_digest.{name}": digest for name, digest in digests.items()}
        with tracking.tracked_run(option, kind, parent=parent, tags=own | (tags or {})) as run_id:
            mlflow.log_params(params if params is not None else {"tower": option.split()[0], "seed": seed})
            metrics: dict[str, float] = {"data/train_pairs": size}
            if kind == "model":
                tracking.log_metrics({"dev_roc_auc": 0.6}, "epoch", step=1)
                tracking.log_metrics({"dev_roc_auc": 0.7, "pairs_per_second": 6100}, "epoch", step=2)
                metrics |= {"model/parameters": 1000, "model/questions_per_second": 5e4, "model/bytes": 2e6}
                metrics |= {"training/seconds": 10.0 + len(option)}
            with tempfile.TemporaryDirectory() as place:
                for split in ("dev", "test") if "test" in digests else ("dev",):
                    generator = np.random.default_rng([seed, int(noise * 1000), len(option), len(split)])
                    easy = np.random.default_rng(7).normal(size=PAIRS)  # the same pairs are easy for everyone
                    logit = 2 * pairs[split].label - 1 + noise * (0.5 * easy + generator.normal(size=PAIRS))
                    found = report(pairs[split], 1 / (1 + np.exp(-logit)), Calibration(0.5, 1.0, 0.0), 0, 100)
                    found.predictions.to_csv(Path(place) / f"{split}.csv", index=False)
                    metrics |= {f"data/{split}_pairs": PAIRS}
                    metrics |= {f"{split}/{name}": value for name, value in found.metrics.items()}
                    for name, limits in found.intervals.items():
                        metrics |= {f"{split}/{name}_{end}": limit for end, limit in zip(ENDS, limits, strict=True)}
                mlflow.log_artifacts(place, "predictions")
            mlflow.log_metrics(metrics)
        return run_id

    return track


def page_of(store: dict[str, str], *words: str):
    return compare.run(command_line("compare", [*words, *(f"{key}={value}" for key, value in store.items())])[0])


def artifacts(run: str) -> set[str]:
    return {Path(each.path).name for each in mlflow.artifacts.list_artifacts(run_id=run, artifact_path="comparison")}


@pytest.fixture
def study(store, track) -> str:
    """The run of a study of a good option, a bad one and a baseline between them."""
    with tracking.tracked_run("towers", "study", "how to go on") as parent:
        pass
    for option, noise in (("bad tower", 3.0), ("good tower", 1.0)):
        for seed in range(3):
            track(option, seed, noise, parent=parent)
    track("tfidf_cosine", 0, 2.0, kind="baseline")
    return parent


@pytest.mark.slow
def test_a_study_ends_in_a_conclusion_that_is_kept_in_its_own_run(store, study, tmp_path, capsys):
    page = page_of(store, "study=towers", f"output={tmp_path}/out")
    conclusion = page.whole.split("|")[0]
    assert "**`good tower`** is best on dev (dev ROC AUC 0.8" in conclusion
    assert "± 0.0" in conclusion
    assert "over 3 seeds" in conclusion
    assert "On the 300 test pairs it beats the option `bad tower` by +0." in conclusion
    assert "it beats the baseline `tfidf_cosine` by +0." in conclusion
    assert conclusion.count("more than chance (p < 0.05 after Holm)") == 2
    run = tracked(study)
    assert run.status == "FINISHED"
    assert run.tags["kind"] == "study"
    assert run.tags["mlflow.note.content"] == page.summary
    assert f"dev ROC AUC {run.metrics['dev/roc_auc']:.4f}" in conclusion
    assert page.summary.endswith("Made by `python -m experiments.compare study=towers`.\n")
    figures = {"forest.png", "learning_curves.png", "cost.png"}
    assert artifacts(study) == {"comparison.md", *figures}
    assert {file.name for file in (tmp_path / "out").iterdir()} == artifacts(study)
    assert (tmp_path / "out" / "comparison.md").read_text() == page.whole
    assert page.summary in capsys.readouterr().out
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "years of work").touch()
    with pytest.raises(ValueError, match="thesis exists and holds something else"):
        page_of(store, "study=towers", f"output={tmp_path}/thesis")


@pytest.mark.slow
def test_a_study_that_ran_a_moment_ago_is_compared_by_its_run(store, study):
    compare.compare_study(study)
    assert "**`good tower`** is best on dev" in tracked(study).tags["mlflow.note.content"]


@pytest.mark.slow
def test_the_table_ranks_networks_by_dev_and_baselines_stand_below(store, study):
    table = [line for line in page_of(store, "study=towers").summary.splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in table] == [
        "option",
        "-" * len("tfidf_cosine"),
        "`good tower`",
        "`bad tower`",
        "tfidf_cosine",
    ]
    seeds = [run.metrics["test/roc_auc"] for run in find_runs("tags.option = 'good tower'")]
    cells = [cell.strip() for cell in table[2].split("|")]
    assert cells[2] == "3"
    assert cells[4].startswith(f"{np.mean(seeds):.4f} ± {np.std(seeds, ddof=1):.4f} [0.")
    assert cells[5:9] == ["1,000", "20", "50,000", "2"]
    # the study itself stands in the UI's table with the figures of its best option
    parent = tracked(study)
    assert parent.tags["data"] == "made pairs"
    assert parent.metrics["test/roc_auc"] == pytest.approx(np.mean(seeds))
    assert parent.metrics["test/roc_auc_sd"] == pytest.approx(np.std(seeds, ddof=1))
    assert parent.metrics["training/seconds"] == 20


@pytest.mark.slow
def test_equal_options_are_called_equal(store, track):
    for option in ("one tower", "two tower"):
        for seed in range(3):
            track(option, seed + 10 * (option == "two tower"), 1.5)
    page = page_of(store)
    assert "No option is better or worse than it by more than chance on the 300 test pairs" in page.whole
    [comparison] = find_runs("tags.kind = 'comparison'")
    assert comparison.status == "FINISHED"
    assert comparison.tags["mlflow.note.content"] == page.summary
    assert "comparison.md" in artifacts(comparison.id)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"digests": DIGESTS | {"dev": "other"}}, "dev pairs"),
        ({"digests": DIGESTS | {"test": "other"}}, "test pairs"),
        ({"digests": DIGESTS | {"train": "other", "drawn_from": "other"}}, "training data"),
        ({"tags": {"metrics_version": "1"}}, "version of the metrics"),
    ],
)
def test_runs_measured_differently_are_in_different_tables(store, track, changed, difference):
    track("first tower", 0, 1.0)
    track("second tower", 0, 2.0)
    track("third tower", 0, 1.5, **changed)
    track("majority", 0, 2.5, kind="baseline")
    page = page_of(store)
    assert f"they differ in {difference}. So there are 2 tables" in page.summary
    one, other = page.whole.split("\n## ")[1:]
    assert all(name in one and name not in other for name in ("first tower", "second tower", "majority"))
    assert "third tower" in other
    assert "third tower" not in one
    assert "### Tests" not in other  # there is nothing on the same pairs


def test_runs_with_the_same_digests_but_other_pairs_are_refused(store, track, questions):
    track("first tower", 0, 1.0)
    swapped = {split: pairs.take(np.arange(PAIRS)[::-1]) for split, pairs in questions.items()}
    track("second tower", 0, 1.0, pairs=swapped)
    with pytest.raises(ValueError, match=r"answered other pairs than run \w+ \(\w+ tower\): 300 against 300"):
        page_of(store)


def test_of_several_runs_of_one_option_and_seed_the_newest_counts(store, track):
    track("only tower", 0, 3.0)
    newest = track("only tower", 0, 1.0)
    [group] = group_runs(find_runs("tags.kind = 'model'"), [], "roc_auc")
    assert [run.id for run in group.options[0].runs] == [newest]


def test_options_of_one_name_are_named_by_their_differences(store, track):
    for number, width in enumerate(("100", "300")):
        track("a tower", 0, 1.0, tags={"config_digest": str(number)}, params={"tower.units": width, "seed": "0"})
    [group] = group_runs(find_runs("tags.kind = 'model'"), [], "roc_auc")
    assert {option.name for option in group.options} == {"a tower (tower.units=100)", "a tower (tower.units=300)"}


def test_settings_that_a_choice_implies_are_not_in_its_name(store, track):
    """All three kinds have a length of their own; two of them the same dropout."""
    for kind, length, dropout in (
        ("word", "64", "0.1"),
        ("unigram", "96", "0.1"),
        ("bpe", "80", "0.1"),
        ("bpe", "80", "0.2"),
    ):
        params = {"text.kind": kind, "text.max_length": length, "text.dropout": dropout, "tower.length": length}
        track("a tower", 0, 1.0, tags={"config_digest": f"{kind} {dropout}"}, params=params)
    [group] = group_runs(find_runs("tags.kind = 'model'"), [], "roc_auc")
    assert {option.name for option in group.options} == {
        "a tower (text.kind=word text.dropout=0.1 tower.length=64)",
        "a tower (text.kind=unigram text.dropout=0.1 tower.length=96)",
        "a tower (text.kind=bpe text.dropout=0.1 tower.length=80)",
        "a tower (text.kind=bpe text.dropout=0.2 tower.length=80)",
    }


@pytest.mark.slow
def test_data_without_a_test_part_is_tested_on_dev_and_says_so(store, track):
    digests = {name: digest for name, digest in DIGESTS.items() if name != "test"}
    track("good tower", 0, 1.0, digests=digests)
    track("bad tower", 0, 3.0, digests=digests)
    page = page_of(store)
    assert "On the 300 dev pairs it beats the option `bad tower`" in page.summary
    assert "The data has no test part, so the tests read dev" in page.summary
    assert "Options with one seed" in page.summary
    assert "test ROC AUC" not in page.summary


@pytest.mark.slow
def test_options_are_compared_at_equal_numbers_of_training_pairs(store, track):
    for size, noise in ((1000, 9.0), (5000, 1.0)):
        digests = DIGESTS | {"train": f"{size} of all"}
        for seed in range(2):
            track(f"subset.pairs={size}", seed, noise, digests=digests, size=size)
        track("word_overlap", 0, 1.9, kind="baseline", digests=digests, size=size)
    page = page_of(store)
    assert "Trained on 1,000 pairs: **`subset.pairs=1000`** is best on dev" in page.summary
    assert "it loses by more than chance to the baseline `word_overlap, 1,000 pairs` by -0." in page.summary
    assert "Trained on 5,000 pairs: **`subset.pairs=5000`** is best on dev" in page.summary
    assert "it beats the baseline `word_overlap, 5,000 pairs` by +0." in page.summary
    assert "![growth](growth.png)" in page.whole
    assert "Learning curve" not in page.whole  # of two sizes there is no law
    assert page.whole.count("| subset.pairs=1000 | word_overlap, 1,000 pairs |") == 1  # sizes are not tested together
    assert "| subset.pairs=5000 | subset.pairs=1000 " not in page.whole


@pytest.mark.slow
def test_a_learning_curve_foretells_for_the_pairs_that_are_asked_for(store, track):
    for size, noise in ((1000, 8.0), (2000, 4.0), (4000, 2.0), (8000, 1.0)):
        track(f"subset.pairs={size}", 0, noise, digests=DIGESTS | {"train": f"{size} of all"}, size=size)
    assert "| 32,000 " in page_of(store).whole
    assert "| 50,000 " in page_of(store, "forecast=50000").whole


@pytest.mark.slow
def test_any_two_runs_can_be_compared_even_two_seeds_of_one_config(store, track):
    runs = [track("a tower", 0, 1.0), track("a tower", 1, 4.0)]
    track("another tower", 0, 1.0)
    page = page_of(store, f"runs=[{','.join(runs)}]")
    assert "**`a tower (seed=0)`** is best on dev" in page.summary
    assert "it beats the option `a tower (seed=1)`" in page.summary
    assert "another tower" not in page.summary


@pytest.mark.slow
def test_against_chooses_what_is_tested(store, track):
    for option, noise in (("a tower", 1.0), ("b tower", 1.5), ("c tower", 2.0)):
        track(option, 0, noise)

    def couples(*words: str) -> set[frozenset[str]]:
        rows = page_of(store, *words).whole.partition("### Tests")[2].split("\n\n")[1].splitlines()[2:]
        return {frozenset(cell.strip()[0] for cell in row.split("|")[1:3]) for row in rows}

    assert couples() == {frozenset("ab"), frozenset("ac")}
    assert couples("against=c tower") == {frozenset("ca"), frozenset("cb")}
    assert couples("against=all") == {frozenset("ab"), frozenset("ac"), frozenset("bc")}
    assert couples("against=all", "max_options=2") == {frozenset("ab")}


def test_runs_are_chosen_by_experiment_tag_and_filter(store, track):
    track("a tower", 0, 1.0, tags={"experiment": "one"})
    track("b tower", 0, 1.5, tags={"experiment": "two"})
    track("c tower", 0, 2.0, tags={"experiment": "three"})

    def chosen(*words: str) -> str:
        return "".join(sorted(run.name[0] for run in compare.choose(command_line("compare", words)[0], None)))

    assert chosen() == "abc"
    assert chosen("experiment=[one,three]") == "ac"
    assert chosen("experiment=two") == "b"
    assert chosen("tag.experiment=three") == "c"
    assert chosen("filter=params.tower = 'b' and metrics.`dev/roc_auc` > 0.5") == "b"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["metric=log_loss"], "metric must be one of accuracy, .* got 'log_loss'"),
        (["max_options=0"], "max_options must be a number of options, at least 1; got 0"),
        (["forecast=-1"], "forecast must be a number of training pairs, or 0; got -1"),
        (["study=nothing"], "the store has no study 'nothing'; run it first"),
        (["tag.study=nothing"], r"no finished run of kind model to compare for tag.study=nothing \(none\)"),
        (["runs=[0123]"], "'0123' is no run of sqlite"),
        (["filter=tower is dense"], "MLflow cannot search for"),
        (["against=d tower"], "against must be best, all or one of a tower; got 'd tower'"),
    ],
)
def test_a_mistake_is_reported(store, track, words, message):
    track("a tower", 0, 1.0)
    with pytest.raises(ValueError, match=message):
        page_of(store, *words)


def made_run(metric: float, seed: int, **params: str) -> TrackedRun:
    return TrackedRun("id", "name", "FINISHED", {"seed": str(seed)}, params, {"dev/roc_auc": metric})


def test_the_important_choice_is_found_with_the_seed_for_comparison():
    """Four times the effect of tower is that of pooling: variances of 16 to 1; `tower.units` comes with the tower."""
    runs = [
        made_run(
            0.7 + 0.04 * (tower == "conv1d") + 0.01 * (pooling == "max"), seed, tower=tower, pooling=pooling, **more
        )
        for tower, more in (("dense", {"tower.units": "[3]"}), ("conv1d", {}))
        for pooling in ("max", "mean")
        for seed in range(3)
    ]
    shares = importances(runs, "dev/roc_auc")
    assert list(shares) == ["tower", "pooling", "seed"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["tower"] == pytest.approx(16 / 17, abs=0.05)
    assert shares["seed"] < 0.02
    assert importances(runs[:4], "dev/roc_auc") == {}


OPTIONS = (("table", 2.0), ("encoder", 1.0))  # with the noise of their similarities
README = f"# Results\n\n{readme_results.START}\n{readme_results.END}\n\nthe end\n"


@pytest.fixture(scope="module")
def rows() -> dict[str, readme_results.Row]:
    return {row.name.split("`")[1]: row for row in readme_results.rows()}


@pytest.mark.slow
def test_rows_are_the_default_and_the_experiments_that_are_no_studies(rows):
    assert rows["averaging"].name == "`averaging`, the default"
    assert rows["corpus_conv1d"].name == "`corpus_conv1d`: tower=conv1d"
    assert "towers" not in rows
    assert rows["corpus_conv1d"].params["tower"] == "conv1d"


@pytest.mark.slow
def test_the_results_of_the_readme_come_from_runs_of_just_these_configs(store, track, rows, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(README)
    for name, noise in (("averaging", 2.0), ("corpus_conv1d", 1.0)):
        for seed in range(3):
            track(name, seed, noise, params=rows[name].params | {"seed": str(seed)})
    track("other", 0, 0.1, params=rows["averaging"].params | {"training.epochs": "99"})
    track("old", 0, 0.1, params=rows["corpus_bilstm"].params, tags={"metrics_version": "1"})
    track("majority", 0, 5.0, kind="baseline")
    newest = track("averaging", 2, 2.0, params=rows["averaging"].params | {"seed": "2"})
    readme_results.rebuild(file)
    text = file.read_text()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert table[0] == ["", "dev ROC AUC", "test ROC AUC", "seeds"]
    assert [row[0] for row in table[2:]] == [rows["corpus_conv1d"].name, rows["averaging"].name, "majority"]
    values = [run.metrics["test/roc_auc"] for run in find_runs("tags.option = 'corpus_conv1d'")]
    assert table[2][2] == f"**{np.mean(values):.3f}** ± {np.std(values, ddof=1):.3f}"
    assert table[3][3] == "3"
    assert newest in {run.id for run in find_runs("tags.option = 'averaging'")}
    assert text.startswith("# Results\n\n")
    assert text.endswith("\n\nthe end\n")
    readme_results.rebuild(file)
    assert file.read_text() == text


@pytest.mark.slow
def test_the_table_of_a_study_has_options_as_rows_and_data_sets_as_columns(store, track, tmp_path, capsys):
    """Two draws of one name are seeds of one column; an option that one data set lacks has no figure there."""

    def study(option: str, draw: int, noise: float, data: str) -> float:
        tags = {"study": "knowledge", "data": data, "option": f"experiment=knowledge/{option} data.per_intent=5"}
        digests = DIGESTS | {"test": f"{data} {draw}"}
        run = track(option, draw, noise, tags=tags | {"config_digest": f"{option} {draw}"}, digests=digests)
        return tracked(run).metrics["test/roc_auc"]

    table, encoder = ([study(option, draw, noise, "faq, 5") for draw in (0, 1)] for option, noise in OPTIONS)
    alone = study("encoder", 0, 1.0, "faq, 10")
    study("encoder", 0, 1.0, "others")
    for baseline, digests in (("tfidf_cosine", DIGESTS | {"test": "faq, 5 0"}), ("majority", DIGESTS)):
        track(baseline, 0, 5.0, kind="baseline", digests=digests)
    file = tmp_path / "README.md"
    markers = "<!-- study knowledge: test/roc_auc of faq -->\n{}<!-- /study -->\n"
    other = "<!-- study towers: test/roc_auc of faq -->\nas it was\n<!-- /study -->\n"
    file.write_text(markers.format("") + other + README)
    readme_results.rebuild(file)
    text = file.read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert lines[0] == ["", "5", "10"]
    assert lines[2] == ["`encoder`", f"**{np.mean(encoder):.3f}** ± {np.std(encoder, ddof=1):.3f}", f"**{alone:.3f}**"]
    assert lines[3] == ["`table`", f"{np.mean(table):.3f} ± {np.std(table, ddof=1):.3f}", ""]
    assert [row[0] for row in lines[4:]] == ["tfidf_cosine"]
    assert other in text
    assert "study towers: test/roc_auc of faq --> unchanged, its runs are not in the store" in capsys.readouterr().out


@pytest.mark.slow
def test_a_section_whose_runs_are_not_in_the_store_stays(store, track, rows, tmp_path, capsys):
    file = tmp_path / "README.md"
    kept = (
        "<!-- data 0123456789ab: Quora -->\nQuora: 10 pairs\n\n| | dev accuracy |\n| - | - |\n| `quora_dense` | 0.8 |"
    )
    file.write_text(README.replace(readme_results.END, f"{kept}\n{readme_results.END}"))
    track("averaging", 0, 2.0, params=rows["averaging"].params)
    readme_results.rebuild(file)
    first = file.read_text()
    assert first.count(kept) == 1
    assert "<!-- data 0123456789ab: Quora --> unchanged, its runs are not in the store" in capsys.readouterr().out
    assert first.count("| `averaging`, the default |") == 1
    readme_results.rebuild(file)
    assert file.read_text() == first


def test_files_that_the_user_brings_may_lie_anywhere(rows):
    """Of `quora_dense` anything in `data` may differ, of the corpora nothing."""
    quora, corpus = rows["quora_dense"], rows["corpus_conv1d"]
    assert quora.is_of(made_params(quora.params | {"data.train": "mine.tsv", "data.dev": "dev.tsv", "seed": "5"}))
    assert not quora.is_of(made_params(quora.params | {"data.train": "mine.tsv", "tower.dropout": "0.5"}))
    assert corpus.is_of(made_params(corpus.params | {"tracking.uri": "elsewhere"}))
    assert not corpus.is_of(made_params(corpus.params | {"data.seed": "1"}))


def made_params(params: dict[str, str]) -> TrackedRun:
    return replace(made_run(0.7, 0), params=params)


@pytest.mark.parametrize(
    "text", ["no markers", README + readme_results.START, f"{readme_results.END}\n{readme_results.START}\n"]
)
def test_a_readme_needs_its_markers_once(store, text, tmp_path):
    file = tmp_path / "README.md"
    file.write_text(text)
    with pytest.raises(ValueError, match="must have the lines <!-- results --> and <!-- /results -->, once each"):
        readme_results.rebuild(file)
    assert file.read_text() == text


@pytest.mark.parametrize(("word", "file"), [("--readme", "experiments/RESULTS.md"), ("readme=COPY.md", "COPY.md")])
def test_the_issue_spells_it_readme(store, word, file, monkeypatch):
    rebuilt = []
    monkeypatch.setattr(readme_results, "rebuild", rebuilt.append)
    monkeypatch.setattr("sys.argv", ["compare", word, *(f"{key}={value}" for key, value in store.items())])
    program.main()
    assert rebuilt == [Path(file)]


@pytest.mark.slow
def test_the_benchmark_measures_a_comparison_of_made_runs(folder):
    """Two options of three seeds; the program runs in a process of its own, which would fail loudly."""
    before = mlflow.get_tracking_uri()
    result = comparing.measure(runs=6, pairs=60, repeats=1)
    mlflow.set_tracking_uri(before)
    [line] = result.lines
    assert line.subject == "6 runs"
    assert 0 < line.figures["s"][0] < 100


def test_each_point_of_the_cost_has_a_number_and_a_name():
    """Of cheap, dear and worse the last is not on the Pareto front: it comes last, and in another color."""
    figure = draw.cost(["worse", "cheap", "dear"], [30.0, 10.0, 20.0], [0.7, 0.8, 0.9], "ROC AUC")
    [axes], [legend] = figure.axes, figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Pareto front", "1  cheap", "2  dear", "3  worse"]
    assert {text.get_text(): text.xy for text in axes.texts} == {"1": (10, 0.8), "2": (20, 0.9), "3": (30, 0.7)}
    front, *points = axes.lines
    assert front.get_xdata().tolist() == [10, 20]
    assert points[0].get_color() == points[1].get_color() != points[2].get_color()
