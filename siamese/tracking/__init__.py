"""Tracking: runs in MLflow. Starts and ends runs, logs to them, and queries them."""

from siamese.tracking.interrupts import defer_interrupts
from siamese.tracking.local_store import continuation
from siamese.tracking.logs import (
    flatten,
    log_calibration,
    log_chosen,
    log_config,
    log_data,
    log_environment,
    log_figure,
    log_folder,
    log_metrics,
    log_page,
    log_probes,
    log_report,
)
from siamese.tracking.outages import UnsentError, patient, patiently, writing
from siamese.tracking.provenance import config_digest, metrics_version, process, process_is_dead
from siamese.tracking.queries import Logged, find_metrics, metric_history
from siamese.tracking.runs import set_tags, tracked_run
from siamese.tracking.silence import SilentError, reason, shown
from siamese.tracking.stores import connect, open_store
