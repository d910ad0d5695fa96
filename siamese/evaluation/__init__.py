"""Evaluation: thresholds and calibration from dev, metrics with intervals, baselines, figures."""
