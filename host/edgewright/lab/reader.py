"""Reads `current` repeatedly, as an application would: `python reader.py ROOT NAME`.

Reads `<ROOT>/models/<NAME>/current` every 20 ms and prints a line `<seconds> <version> <artifact>` when the
result changes: seconds since the start, the release's version, the manifest's sha256 (its first 12 digits).
`absent -` means that there is no release; `broken <reason>` that a file listed in the manifest is missing or
has another size. Uses the standard library only; ends with SIGTERM.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

INTERVAL_SECONDS = 0.02


def read(folder: Path) -> tuple[str, str]:
    """Version and artifact behind the link `current` in a model's folder."""
    try:
        release = folder / (folder / "current").readlink()  # fixed, even if `current` changes meanwhile
    except FileNotFoundError:
        return "absent", "-"
    try:
        raw = (release / "manifest.json").read_bytes()
        for entry in json.loads(raw)["files"]:
            if (release / entry["path"]).stat().st_size != entry["size"]:
                return "broken", f"size-of-{entry['path']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return "broken", type(error).__name__
    return release.name.rpartition("-")[0], hashlib.sha256(raw).hexdigest()[:12]


def main(root: Path, name: str) -> None:
    """Reads until it is stopped; prints only changes."""
    begun = time.monotonic()
    last: tuple[str, str] | None = None
    while True:
        answer = read(root / "models" / name)
        if answer != last:
            sys.stdout.write(f"{time.monotonic() - begun:.3f} {answer[0]} {answer[1]}\n")
            sys.stdout.flush()
            last = answer
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2])
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(0)
