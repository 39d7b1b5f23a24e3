"""Point the ROS 2 wheels' CMake files at this environment's Python.

The wheels export the include folders of the machine that built them, so that building messages
fails for lack of Python.h. Running this again changes nothing.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

PYTHON_INCLUDE = re.compile(r'/opt/python/cp\d+-cp\d+/include/python3\.\d+')
NUMPY_INCLUDE = re.compile(
    r'/opt/python/cp\d+-cp\d+/lib/python3\.\d+/site-packages/numpy/_?core/include'
)


def main() -> int:
    """Repair the wheels of the running environment; return 2 if Python's headers are missing."""
    include = Path(sysconfig.get_paths()['include'])
    if not (include / 'Python.h').is_file():
        print(f'{include}/Python.h is missing; install the Python headers (apt: python3-dev)')
        return 2
    changed = 0
    for file in Path(sys.prefix, 'share').rglob('*.cmake'):
        text = file.read_text()
        repaired = NUMPY_INCLUDE.sub(numpy.get_include(), text)
        repaired = PYTHON_INCLUDE.sub(str(include), repaired)
        if repaired != text:
            file.write_text(repaired)
            changed += 1
    print(f'{changed} CMake files of the ROS 2 wheels changed to this Python')
    return 0


if __name__ == '__main__':
    sys.exit(main())
