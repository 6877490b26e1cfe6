"""How much memory a process has needed at most, as the kernel counts it."""

import re
import subprocess
import threading
from pathlib import Path

MIB = 1024 * 1024


def peak(pid: int) -> int:
    """The most resident memory a process has had at a time, in bytes; 0 where it has ended.

    Spec: proc(5), ``VmHWM``. It begins anew with ``execve``, which ``ru_maxrss`` does not.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Watch:
    """Runs one program and looks at its memory until it ends."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.peak = 0
        """Bytes. The last look is at most a hundredth of a second before the end."""

        self._process = process
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def finish(self, seconds: float) -> tuple[int, bytes]:
        """Wait for the end; the status, and what it said on standard error."""
        try:
            _, err = self._process.communicate(timeout=seconds)
        finally:
            self._process.kill()
            self._ended.set()
            self._thread.join()
        return self._process.returncode, err

    def _look(self) -> None:
        while not self._ended.wait(0.01):
            self.peak = max(self.peak, peak(self._process.pid))
