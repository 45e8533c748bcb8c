"""The backup that the README shows, taken of a server that runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.process import ServerProcess

README = Path(__file__).parents[2] / "README.md"


def test_a_backup_as_the_readme_shows_it_is_a_data_folder_with_all_that_was_acknowledged(
    tmp_path: Path,
) -> None:
    (commands,) = re.findall(r"^```\n(umask .*?)^```$", README.read_text(), re.M | re.S)
    data, backup = tmp_path / "data", tmp_path / "backup"
    with ServerProcess(data, demo=True) as running, httpx.Client(base_url=running.url) as http:
        http.post("/api/login", json={"email": "ann@example.com", "password": "demo-password"})
        seq = http.post("/api/messages", json={"text": "kept"}).raise_for_status().json()["seq"]
        here = commands.replace("/var/lib/chatserver", str(data))
        here = here.replace("python3", sys.executable)
        subprocess.run(["sh", "-ec", here], cwd=tmp_path, check=True, timeout=60)
        later = http.post("/api/messages", json={"text": "later"}).raise_for_status().json()["seq"]
        cookies = dict(http.cookies)

    with ServerProcess(backup) as restored, httpx.Client(base_url=restored.url) as http:
        http.cookies.update(cookies)
        (message,) = http.get("/api/messages").raise_for_status().json()["messages"]
        assert (message["text"], message["seq"]) == ("kept", seq)
        # Whoever had seen what the backup has not goes on: no place is given twice.
        after = http.post("/api/messages", json={"text": "after"}).raise_for_status().json()["seq"]
        assert after > later
        heard = http.get("/poll", params={"after": later, "wait": 0}).raise_for_status().json()
        assert "after" in [event.get("text") for event in heard["events"]]
