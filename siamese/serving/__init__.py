"""Serving: a detector behind MLflow's scoring server."""
