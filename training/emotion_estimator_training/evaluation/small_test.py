"""Says so when a test is too small to tell (interval of a share: Wilson 1927)."""

from __future__ import annotations

import math

#: Normal quantile of 95 %.
_Z = 1.959964
#: An accuracy whose interval is wider than this tells little.
WIDEST = 0.2


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of ``count`` independent cases.

    Unlike the bootstrap's, it is not empty where all cases are right.

    :param share: 0 to 1.
    :param count: at least 1.
    """
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    spread = math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    half = _Z * spread / (1 + _Z**2 / count)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def small_test(what: str, accuracy: float, images: int, people: int | None = None) -> str | None:
    """Return a warning if an accuracy is of so few images or people that it tells little.

    :param what: name of the test, for the warning.
    :param people: how many are seen; images of one person are alike, so that people count.
    :returns: one line; None if the interval is at most ``WIDEST``.
    """
    if not images:
        return None
    low, high = wilson(accuracy, min(images, people or images))
    if high - low <= WIDEST:
        return None
    of = f' of {people}' if people and people < images else ''
    return (
        f'warning: {what} has {images} rows{of and of + " people or images"}: an accuracy of '
        f'{accuracy:.2f} is anything from {low:.2f} to {high:.2f} (95 %); test on more before you '
        'believe it'
    )
