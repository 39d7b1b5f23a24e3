"""Quality of service of the topics, as documented in docs/nodes.md.

Functions, since rclpy writes overrides (the parameters ``qos_overrides.*``) into the profile that
it is given.
"""

from __future__ import annotations

from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

#: Lets users override history, depth and reliability of a topic by parameters.
OVERRIDABLE = QoSOverridingOptions.with_default_policies()
#: The same without reliability, for whoever chooses that otherwise.
OVERRIDABLE_BUT_RELIABILITY = QoSOverridingOptions((QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))

_RELIABILITIES = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}


def images(reliability: str = 'reliable') -> QoSProfile:
    """Return the profile of images: volatile, five deep; the estimator drops old ones itself.

    :param reliability: ``reliable``, with which every subscriber is compatible, or ``best_effort``,
        with which every publisher is.
    """
    return QoSProfile(depth=5, reliability=_RELIABILITIES[reliability])


#: The same as :func:`results`, for topics that come and go and therefore have no overrides.
RESULTS = QoSProfile(depth=10)


def results() -> QoSProfile:
    """Return the profile of results: reliable, since a lost one would be a lost smile."""
    return QoSProfile(depth=10)
