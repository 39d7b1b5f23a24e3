"""Where frames come from: device, video file, images, the animated portrait."""
