"""What each kind of local response normalization divides by. Imports neither NumPy nor Keras."""

from dataclasses import dataclass

from models.catalog.lookup import Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseNorm:
    """y = x / (k + alpha * sum of squares) ** 0.75 over `n` channels, or within a map over n x n places."""

    n: int
    k: float
    alpha: float
    within: bool = False


def find_response_norm(norm: Choice) -> ResponseNorm | None:
    """Return the numbers of an entry of NORMS; None if it is no local response normalization.

    Source: `lrn`: Krizhevsky, Sutskever and Hinton, NIPS 2012, section 3.3. `lrn_mean`: Caffe
    (ACROSS_CHANNELS), PyTorch and ONNX, which take alpha times the mean of the n squares. `lrn_within`: the
    authors' program for CIFAR-10 (cuda-convnet, layers-18pct) and Caffe's cifar10_full (WITHIN_CHANNEL): they
    take alpha times the mean of the 3 x 3 squares, of zeros beyond the map.
    """
    alpha = norm.argument
    if alpha is None:
        return None
    if norm.name == "lrn_within":
        return ResponseNorm(n=3, k=1.0, alpha=alpha / 3**2, within=True)
    return ResponseNorm(n=5, k=2.0, alpha=alpha / 5 if norm.name == "lrn_mean" else alpha)
