"""Gets the peers from package registries into a cache folder, a peer at a time.

Nothing is installed outside of that folder. What cannot be had is left out, with its reason told.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_MAX_S = 240


class Missing(Exception):
    """A peer cannot be measured here; the message is the reason, for the report."""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs an installer's command. Raises `Missing` with its last words when it fails."""
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=INSTALL_MAX_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{command[0]}: {words[-1] if words else done.returncode}")
    return done.stdout


def node_package(cache: Path, package: str) -> str:
    """Installs an npm package once; returns its version."""
    folder = cache / "node"
    manifest = folder / "node_modules" / package / "package.json"
    if not manifest.exists():
        if shutil.which("npm") is None:
            raise Missing("npm is not installed")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").touch()
        if not (folder / "package.json").read_text():
            (folder / "package.json").write_text("{}\n")
        run("npm", "install", "--no-audit", "--no-fund", "--loglevel=error", package, cwd=folder)
    return str(json.loads(manifest.read_text())["version"])


def python_packages(cache: Path, *packages: str) -> Path:
    """Installs Python packages into an environment of their own; returns its interpreter."""
    python = cache / "venv" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", cache / "venv")
    listed = run(python, "-m", "pip", "list", "--format=freeze").lower()
    if not all(package.lower() + "==" in listed for package in packages):
        run(python, "-m", "pip", "install", "--quiet", *packages)
    return python


def python_version(python: Path, package: str) -> str:
    """Version of a package in the environment of `python`."""
    return run(
        python, "-c", f"from importlib.metadata import version; print(version({package!r}))"
    ).strip()


def nchan_module(cache: Path) -> tuple[str, Path, str]:
    """Unpacks Debian's Nchan; returns nginx, the module and the module's version."""
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        raise Missing("nginx is not installed")
    folder = cache / "nginx"
    module = folder / "usr/lib/nginx/modules/ngx_nchan_module.so"
    if not module.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", "libnginx-mod-nchan", cwd=folder)
        for package in folder.glob("libnginx-mod-nchan*.deb"):
            run("dpkg-deb", "-x", package, folder)
    package = next(folder.glob("libnginx-mod-nchan*.deb"))
    return nginx, module, run("dpkg-deb", "-f", package, "Version").strip().partition(":")[2]
