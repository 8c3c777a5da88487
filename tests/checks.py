"""A folder of emitted files -> what ruff (the house's rules) and mypy --strict have against it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def problems(folder: Path) -> str:
    """Everything that the tools print, or ""; each is one process for the whole folder."""
    settings = f"--config={ROOT / 'pyproject.toml'}"
    cache = f"--cache-dir={ROOT / '.mypy_cache'}"  # torch's own stubs take a minute without
    commands = (
        ["ruff", "check", "--quiet", "--no-cache", settings, "."],
        ["ruff", "format", "--check", "--quiet", "--diff", "--no-cache", settings, "."],
        [
            "mypy",
            "--strict",
            "--no-error-summary",
            cache,
            *sorted(p.name for p in folder.glob("*.py")),
        ],
    )
    found = []
    for tool, *arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", tool, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            found.append(f"{tool} {arguments[0]}:\n{done.stdout}{done.stderr}")
    return "\n".join(found)
