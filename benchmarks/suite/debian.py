"""Files of Debian packages: of an installed one, or else of one that apt-get fetches.

Nothing is installed, and root is not needed. Where the package comes from is apt's to say.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lookalike.errors import LookalikeError


def package_root(name: str, work: Path) -> Path:
    """The folder that stands for `/` in the package `name`.

    Args:
        name: of the package.
        work: where packages are kept that are not installed: `work/<name>` is such a folder.

    Raises:
        LookalikeError: it is neither installed nor can it be fetched.
    """
    if Path("/usr/share/doc", name, "copyright").exists() and _is_installed(name):
        return Path("/")
    root = work / name
    if not root.exists():
        _fetch(name, root)
    return root


def package_version(name: str, root: Path) -> str:
    """The version of a package that `package_root` found, as its control file has it."""
    if root != Path("/"):
        return (root / "DEBIAN_VERSION").read_text().strip()
    return _said(["dpkg-query", "--show", "--showformat=${Version}", name])


def _is_installed(name: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Abbrev}", name]
    done = subprocess.run(asked, capture_output=True, text=True)
    # Containers often leave out /usr/share of what they install: the list alone is not enough.
    return done.returncode == 0 and done.stdout.startswith("ii")


def _fetch(name: str, root: Path) -> None:
    remedy = (
        f"install the Debian package {name}, or put its .deb file into {root.parent} "
        "and start again"
    )
    root.parent.mkdir(parents=True, exist_ok=True)
    for program in ("dpkg-deb", "apt-get"):
        if shutil.which(program) is None:
            raise LookalikeError(f"{program} is missing, which unpacks {name}: {remedy}")
    files = sorted(root.parent.glob(f"{name}_*.deb"))
    if not files:
        done = subprocess.run(
            ["apt-get", "download", name], cwd=root.parent, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise LookalikeError(f"apt-get download {name}: {done.stderr.strip()}; {remedy}")
        files = sorted(root.parent.glob(f"{name}_*.deb"))
    building = root.with_name(f".{name}.building")
    shutil.rmtree(building, ignore_errors=True)
    _said(["dpkg-deb", "-x", str(files[-1]), str(building)])
    version = _said(["dpkg-deb", "--field", str(files[-1]), "Version"])
    (building / "DEBIAN_VERSION").write_text(f"{version}\n")
    building.replace(root)


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise LookalikeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()
