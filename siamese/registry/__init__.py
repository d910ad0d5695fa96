"""Registry: find a trained model, and publish one."""
