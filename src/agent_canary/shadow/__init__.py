"""Try it unseen: the new version answers copies of real requests, aside, and nobody waits for it."""

from .deployment import ShadowDeployment
from .outcome import ShadowOutcome, ShadowResult

__all__ = ["ShadowDeployment", "ShadowOutcome", "ShadowResult"]
