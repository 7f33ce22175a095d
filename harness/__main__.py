"""Starts the server: `python -I -S -B harness/__main__.py CONFIG`, with CONFIG as JSON (harness.confine.Config).

`-S` leaves site-packages out, so that nothing of the host's environment runs at start; the libraries are found
where CONFIG says.
"""

import gc
import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    # for the imports, a third of which would be numpy's threads (a fork has none) and the collector (on by `warm_up`)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    gc.disable()
    sys.path[:0] = [str(Path(__file__).resolve().parent.parent), *settings["libraries"]]

    from harness.confine import Config
    from harness.server import serve

    serve(Config(**settings))
