"""The seed of every training: the one default of ``--seed``.

What decides a measurement (which faces are sampled for a report, how they move) has fixed seeds of
its own, so that reports of different trainings can be compared. Augmented copies of the stills are
drawn by the number of their pass, so that trainings of all seeds share their cache.
"""

SEED = 11
