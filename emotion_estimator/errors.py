"""Errors that a user can act on: each message names what is wrong and what to do."""


class EmotionEstimatorError(Exception):
    """Base of every error this package raises on purpose; its text is one line for the user."""


class InputError(EmotionEstimatorError):
    """An image, video, camera, message or file given by the user cannot be used."""


class ModelError(EmotionEstimatorError):
    """A model file or its card is missing, corrupt, or does not fit the code."""


def first_line(error: BaseException) -> str:
    """Return the first line of what ``error`` says, or its type's name where it says nothing."""
    return next(iter(str(error).splitlines()), '') or type(error).__name__
