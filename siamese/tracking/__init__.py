"""Tracking: runs in MLflow. Starts and ends them, logs what they measured, and finds it again."""

from siamese.tracking.identity import config_digest, evaluation_code, has_died, process
from siamese.tracking.logs import (
    flatten,
    log_calibration,
    log_config,
    log_data,
    log_environment,
    log_figure,
    log_metrics,
    log_page,
    log_report,
)
from siamese.tracking.queries import Logged, find_metrics, metric_history
from siamese.tracking.runs import set_tags, tracked_run, whole_write
from siamese.tracking.stores import connect

__all__ = [
    "Logged",
    "config_digest",
    "connect",
    "evaluation_code",
    "find_metrics",
    "flatten",
    "has_died",
    "log_calibration",
    "log_config",
    "log_data",
    "log_environment",
    "log_figure",
    "log_metrics",
    "log_page",
    "log_report",
    "metric_history",
    "process",
    "set_tags",
    "tracked_run",
    "whole_write",
]
