"""Errors that users can act on: each message says what is wrong and what to do, in one line."""


class EmotionEstimatorError(Exception):
    """Base of every error that this package raises deliberately."""


class InputError(EmotionEstimatorError):
    """An image, video, camera, message or file given by the user cannot be used.

    :param kind: of fault, one word of the code's, by which faults are counted.
    """

    def __init__(self, message: str = '', kind: str = 'other') -> None:
        super().__init__(message)
        self.kind = kind


class ModelError(EmotionEstimatorError):
    """A model file or its card is missing, corrupt, or does not match the code."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name if it has none."""
    return next(iter(str(error).splitlines()), '') or type(error).__name__
