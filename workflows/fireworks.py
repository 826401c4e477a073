"""The name under which launchpads hold the Firetask: it is written into their databases, so it stays."""

from .engine.fireworks import RunSteps

__all__ = ["RunSteps"]
