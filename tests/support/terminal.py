"""perseus load on a terminal of a given size."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

PERSEUS = os.environ["PERSEUS"]


class Screen:
    """The little of a terminal that the view uses. `seen` has what stood there each time before it
    was wiped; it does not scroll: nothing may reach beyond `rows` (see `highest`)."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column, self.seen, self.widest = [""], 0, 0, [], 0
        self.highest = 0

    def feed(self, text):
        for m in re.finditer(r"\033\[(\d*)([A-Za-z])|([^\033])", text):
            count, command, char = m.groups()
            if command == "A":
                self.row -= int(count or 1)
                assert self.row >= 0, "above the first line"
            elif command == "J":
                self.seen.append("\n".join(self.lines))
                self.lines = self.lines[:self.row] + [self.lines[self.row][:self.column]]
            elif char == "\r":
                self.column = 0
            elif char == "\n":
                self.row += 1
                self.highest = max(self.highest, self.row + 1)
                if self.row == len(self.lines):
                    self.lines.append("")
            elif char:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[:self.column] + char + line[self.column + 1:]
                self.column += 1
                self.widest = max(self.widest, self.column)


def on_terminal(args, columns, rows=24, **env):
    """Runs `perseus load` with stderr on a terminal of that size: what it wrote there, stdout, exit code."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    p = subprocess.Popen([PERSEUS, "load", *map(str, args)], stdout=subprocess.PIPE, stderr=theirs,
                         text=True, env={**kept, "TERM": "xterm", **env})
    os.close(theirs)
    written, end = b"", time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([ours], [], [], 1)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:
                break  # the other side is closed
            if not part:
                break
            written += part
    os.close(ours)
    out = p.communicate(timeout=30)[0]
    return written.decode(), out, p.returncode
