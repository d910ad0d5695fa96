"""Training: batches, one step, optimizers, devices."""
