"""Clips for training, for choosing, and for measuring."""

from __future__ import annotations

#: Parts, in the order of the shares.
PARTS = ('train', 'validation', 'test')
#: Seed 004's shares, section 3.1.
SHARES = (0.5, 0.2, 0.3)
