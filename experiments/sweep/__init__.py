"""Sweeps: search for the best hyperparameters of a tower.

run.py         plan, trials, winner, report
plan.py        the plan, checked before the first trial
space.py       the notation of a search space in conf/sweep -> distributions of Optuna
samplers.py    the choice of the next trial, independent of interruptions
overrides.py   a composed config -> the plain command that composes it
trial_store.py the trials on disk, shared by processes; none is lost or run twice
trials.py      one trial: train, report to Optuna and MLflow
winner.py      the best trial and the default, trained again on other seeds
report.py      importances, figures and the page of the sweep
"""
