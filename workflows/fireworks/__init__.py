"""The one engine, FireWorks: Firetasks that run steps by key and plan again, workflows of packs, launchpads.

Launchpads keep the names of the two Firetasks in their databases, so they stay importable from here.
"""

from .tasks import PlanAgain, RunSteps

__all__ = ["PlanAgain", "RunSteps"]
