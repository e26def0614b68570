"""A Ray cluster on loopback: says its address, lives until its input ends, and looks for the key.

The key is in the environment of the cluster, where workers read it; nothing that Ray writes may
hold it.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import ray


def main() -> None:
    """Start, wait, and stop."""
    # The paths of sockets may have about a hundred characters.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            object_store_memory=100 << 20,
            _temp_dir=folder,
            logging_level="ERROR",
            log_to_driver=False,
        )
        print(ray.get_runtime_context().gcs_address, flush=True)
        sys.stdin.read()
        ray.shutdown()
        key = os.environ["SUTRO_API_KEY"].encode()
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        print(len(files), [path.name for path in files if key in path.read_bytes()], flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
