"""Is it worse: numbers in, numbers out. Knows no metrics, versions or rollouts."""

from .alternatives import HARM_RATIOS, log_mean_exp
from .exact_conditional import log_likelihood_ratios
from .failing_users import log_e_value, log_sampling_weight

__all__ = [
    "HARM_RATIOS",
    "log_e_value",
    "log_likelihood_ratios",
    "log_mean_exp",
    "log_sampling_weight",
]
