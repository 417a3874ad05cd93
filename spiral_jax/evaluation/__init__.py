"""Evaluation metrics of pictures and programs."""

from spiral_jax.evaluation.recognition import Recognition
from spiral_jax.evaluation.recognition import evaluate_recognition
from spiral_jax.evaluation.recognition import is_digit
from spiral_jax.evaluation.recognition import read_digits
from spiral_jax.evaluation.reconstruction import ReconstructionQuality
from spiral_jax.evaluation.reconstruction import evaluate_reconstructions
from spiral_jax.evaluation.reconstruction import reconstruction_error
from spiral_jax.evaluation.samples import SampleQuality
from spiral_jax.evaluation.samples import SampleReport
from spiral_jax.evaluation.samples import evaluate_samples

__all__ = (
    'Recognition',
    'ReconstructionQuality',
    'SampleQuality',
    'SampleReport',
    'evaluate_recognition',
    'evaluate_reconstructions',
    'evaluate_samples',
    'is_digit',
    'read_digits',
    'reconstruction_error',
)
