"""Model memory of a server from outside: zoo models on disk, what a process holds, samples of it."""
import os
import pathlib
import threading
import time

from . import programs
from support.perseus import Server


def zoo(folder, *names):
    """Writes zoo models: name -> path."""
    _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", *names, "--dir", folder])
    if code != 0:
        raise RuntimeError(f"perseus zoo ended with {code}")
    return {n: pathlib.Path(folder, f"{n}.onnx") for n in names}


def copy_of(path, serial):
    """The same network in a file of other contents."""
    import onnx
    model = onnx.load(path)
    model.producer_name = f"copy-{serial}"
    to = path.with_name(f"{path.stem}_{serial}.onnx")
    onnx.save(model, to)
    return to


def measured_bytes(files, cache):
    """What all of them hold as a server measures it; and their converted files are in `cache`."""
    admin, digest = programs.new_key()
    with Server(models=files, config={"cache": cache, "admin_keys": [digest]}) as s:
        return s.metric("perseus_models_resident_bytes", admin)


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(c) for c in task.read_text().split()]
        except OSError:
            pass
    return found


def resident(pid):
    """Bytes of a process and its children."""
    total = 0
    for p in [pid, *children(pid)]:
        try:
            total += int(pathlib.Path(f"/proc/{p}/statm").read_text().split()[1])
        except (OSError, IndexError):
            pass  # it has ended
    return total * os.sysconf("SC_PAGE_SIZE")


class Sampler:
    """`found`: what `sample` gave, every `every_s` seconds for as long as the block is entered. A
    sample that was late is taken at once, and the next one is due when it would have been."""

    def __init__(self, sample, every_s=0.1):
        self.sample, self.every_s, self.found, self.failed = sample, every_s, [], None
        self.stop = threading.Event()

    def run(self):
        due = time.monotonic()
        try:
            while not self.stop.wait(max(0, due - time.monotonic())):
                self.found.append(self.sample())
                due += self.every_s
        except Exception as e:  # raised where the block ends
            self.failed = e

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.stop.set()
        self.thread.join()
        if self.failed and kind is None:
            raise self.failed


def drift(samples):
    """The mean of the last tenth over that of the second tenth: the first one may still grow."""
    tenth = max(1, len(samples) // 10)
    early, late = samples[tenth:2 * tenth], samples[-tenth:]
    if not early or not sum(early):
        raise RuntimeError(f"{len(samples)} samples show no drift")
    return (sum(late) / len(late)) / (sum(early) / len(early))
