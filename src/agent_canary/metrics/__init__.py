"""What happened: outcomes, latencies, scores and units of the two versions, in bounded memory."""

from .histogram import Histogram
from .outcome import Outcome
from .version import VersionMetrics

__all__ = ["Histogram", "Outcome", "VersionMetrics"]
