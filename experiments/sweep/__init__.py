"""Sweeps: which hyperparameters does a tower do best with?

    plan.py        what is to be done, checked before the first trial
    space.py       conf/sweep's notation of a search space -> Optuna's distributions
    samplers.py    how the next trial is chosen, whatever interrupted the ones before
    overrides.py   a composed config -> the plain command that composes it
    study.py       the trials on disk: several processes take them, and none is lost or run twice
    trials.py      one trial: train, report to Optuna and MLflow
    winner.py      the best trial and the default, trained again on fresh seeds
    report.py      importances, figures and the page of the sweep

__main__.py reads as the sweep goes: plan, trials, winner, report.
"""
