"""Frame sources: devices, video files, images, the animated portrait."""
