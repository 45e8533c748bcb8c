"""What a stranger gets: the installed package runs from any folder, and the README's scripts do what it says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support.clients import Person
from tests.support.process import ServerProcess

ROOT = Path(__file__).parent.parent


@pytest.mark.timeout(300)
async def test_the_installed_package_serves_its_page_from_any_folder(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    # Building leaves folders beside setup.cfg: build a copy of what git knows.
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in (os.fsdecode(name) for name in files if name):
        if (ROOT / name).is_file():
            (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "source" / name).write_bytes((ROOT / name).read_bytes())
    # By the pip that is here, and nothing compiled that is not asked for: half of the work.
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-compile", str(tmp_path / "source")]
    subprocess.run(install, check=True, timeout=240)
    server = ServerProcess(tmp_path / "data", demo=True)
    server.command = [str(tmp_path / "venv" / "bin" / "chatserver")]
    server.folder = tmp_path
    with server:
        ann = await Person.sign_in(server.url, "ann@example.com", "demo-password")
        page = await ann.http.get("/")
        assert page.status_code == 200 and "<title>" in page.text
        scripts = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
        assert scripts
        for script in scripts:
            assert (await ann.http.get(script)).status_code == 200, script
        assert (await ann.http.get("/classic")).status_code == 200
    assert server.complaints() == []


def readme_script(number: int) -> str:
    return (ROOT / "README.md").read_text().split("```python")[number].split("```")[0]


@pytest.mark.parametrize(("number", "scheme"), [(1, "http"), (2, "ws")])
async def test_a_script_of_the_readme_shows_each_message_once(
    server: ServerProcess, number: int, scheme: str
) -> None:
    ann = await Person.register(server.url, "Ann")
    bob = await Person.register(server.url, "Bob")
    await ann.befriend(bob)
    url = server.url.replace("http", scheme)
    script = await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        readme_script(number),
        url,
        ann.token,
        stdout=subprocess.PIPE,
    )
    assert script.stdout is not None
    try:
        async with asyncio.timeout(20):
            while b"presence" not in await script.stdout.readline():
                pass
            for text in ("one", "two", "three"):
                await bob.send(text)
            seen: list[str] = []
            while "three" not in seen:
                line = (await script.stdout.readline()).decode()
                seen += re.findall(r"['\"]text['\"]: ?['\"](one|two|three)", line)
    finally:
        script.kill()
        await script.wait()
    assert seen == ["one", "two", "three"]
