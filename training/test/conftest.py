"""What holds for every test."""

from emotion_estimator.sources.base import silence_opencv

# FFmpeg reads its log level when it is first used, whichever test that is.
silence_opencv()
