"""What the operating system knows: CPU time and memory of a process, cores, versions."""

import os
import platform
import resource
import shutil
import subprocess
import time
from importlib import metadata
from pathlib import Path

SERVER_CORE = 0
ON_SERVER_CORE = ("taskset", "--cpu-list", str(SERVER_CORE))
"""Before a server's command: it keeps the process, and all that it starts, on that core."""
IDLE_WAIT_MAX_S, IDLE_LOOK_S, IDLE_SHARE = 15.0, 0.05, 0.05
CLOCK_OF_PROCESS = 2  # CPUCLOCK_SCHED in Linux' include/linux/posix-timers.h


def process_cpu_s(pid: int) -> float:
    """CPU seconds that the process has used, user and system, all its threads, ended ones included.

    Read from the process's own CPU clock: nanoseconds, where /proc/PID/stat has ticks of 10 ms.
    What the kernel does for the process in its system calls (all of loopback's sending) is in it.
    """
    return time.clock_gettime((~pid << 3) | CLOCK_OF_PROCESS)


def threads_cpu_s(pid: int) -> tuple[float, float]:
    """CPU seconds of the process's first thread, and of its other living ones (Linux, schedstat)."""
    used = {
        task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path(f"/proc/{pid}/task").iterdir()
    }
    first = used.pop(str(pid))
    return first, sum(used.values())


def process_rss_bytes(pid: int) -> int:
    """Resident memory of the process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")


def wait_until_idle(pid: int) -> None:
    """Returns when the process has used next to no CPU time for a tenth of a second, or after a while."""
    quiet, before_s = 0, process_cpu_s(pid)
    give_up_at = time.monotonic() + IDLE_WAIT_MAX_S
    while quiet < 2 and time.monotonic() < give_up_at:
        time.sleep(IDLE_LOOK_S)
        now_s = process_cpu_s(pid)
        quiet = quiet + 1 if now_s - before_s < IDLE_SHARE * IDLE_LOOK_S else 0
        before_s = now_s


def load_core() -> int:
    """The core for everything but the measured server; the server's own if there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    others = [core for core in cores if core != SERVER_CORE]
    return others[0] if others else SERVER_CORE


def allow_many_files() -> None:
    """Lifts the soft limit of open files to the hard one, for what is started from here too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_files_limit() -> int:
    """How many files one process may open here."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def first_line(*command: str) -> str:
    """First line of what `command` prints, or an empty string where it cannot run."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def installed(package: str) -> str:
    """Version of a Python package in this environment."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def describe() -> dict[str, str]:
    """Machine and versions, for the report."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": f"{os.cpu_count()} × {cpu}",
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "load average before": f"{os.getloadavg()[0]:.2f}",
        "kernel": f"{platform.system()} {platform.release()}",
        "compiler": first_line("cc", "--version"),
        "python": platform.python_version(),
        "tornado": installed("tornado"),
        "uvloop": installed("uvloop"),
        "node": first_line("node", "--version"),
        "nginx": first_line("nginx", "-v"),
    }
