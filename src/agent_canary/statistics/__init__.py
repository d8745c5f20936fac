"""Is it worse: numbers in, numbers out. Knows no metrics, versions or rollouts."""

from . import bounded_mean, margin
from .alternatives import HARM_RATIOS, LARGEST_TOLERANCE, log_mean_exp
from .answer_sums import AnswerSums
from .asymptotic import log_e_one_sided, log_e_two_sided, radius
from .bounded_mean import BoundedMean
from .contrasts import Contrast
from .exact_conditional import log_likelihood_ratios
from .failing_users import log_e_value, log_sampling_weight, usage_ratio
from .hash_buckets import ArmSums, Stratum, contrast
from .independent_answers import contrast_of_answers
from .margin import NonInferiority, log_e_margin
from .sample_ratio import log_e_sample_ratio
from .users import CLUSTERS

__all__ = [
    "CLUSTERS",
    "HARM_RATIOS",
    "LARGEST_TOLERANCE",
    "AnswerSums",
    "ArmSums",
    "BoundedMean",
    "Contrast",
    "NonInferiority",
    "Stratum",
    "bounded_mean",
    "contrast",
    "contrast_of_answers",
    "log_e_margin",
    "log_e_one_sided",
    "log_e_sample_ratio",
    "log_e_two_sided",
    "log_e_value",
    "log_likelihood_ratios",
    "log_mean_exp",
    "log_sampling_weight",
    "margin",
    "radius",
    "usage_ratio",
]
