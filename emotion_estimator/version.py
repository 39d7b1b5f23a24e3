"""The version, for code and setup.py; a test compares it with package.xml, where ROS reads it."""

__version__ = '0.1.0'
