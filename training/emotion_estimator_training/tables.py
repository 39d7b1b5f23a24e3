"""Where verbs leave their tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(content: dict[str, Any], path: Path) -> Path:
    """Write a table; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + '\n')
    return path
