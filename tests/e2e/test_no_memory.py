# timeout: 120
# threads: yes
"""What a server that gets no memory for a while does afterwards."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.request

from support.perseus import SANITIZED, Server, new_key, synthetic, until

X = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]
SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"], "tests/support/no_memory.c")
CC = shutil.which("cc")


@unittest.skipIf(SANITIZED, "sanitizers have an allocator of their own")
@unittest.skipUnless(CC, "there is no C compiler")
class NoMemory(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-memory-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.library = self.dir / "no_memory.so"
        self.none_left = self.dir / "none-left"
        subprocess.run([CC, "-shared", "-fPIC", "-O2", "-o", self.library, SOURCE], check=True)

    def test_an_unload_needs_none(self):
        """The last run of a model that is to go ends while there is no memory."""
        key, digest = new_key()
        tenant, own = new_key()
        env = {"LD_PRELOAD": str(self.library), "NO_MEMORY": str(self.none_left)}
        config = {"admin_keys": [digest], "warmup": False}
        admin = {"Authorization": f"Bearer {key}"}
        mine = {"Authorization": f"Bearer {tenant}"}
        with Server({"long": synthetic(mean="1s")}, tenants=[{"name": "a", "keys": [own]}],
                    config=config, env=env) as s:
            answers = []

            def unload():
                answers.append(s.get("/v2/repository/models/long/unload", "POST", b"", admin)[0])

            def busy():
                url = f"http://{s.ready['metrics']}/metrics"
                with urllib.request.urlopen(urllib.request.Request(url, headers=admin)) as page:
                    return b"\nperseus_lanes_busy 1\n" in page.read()

            def run():
                try:
                    s.infer("long", X, headers=mine)
                except OSError:
                    pass  # there was no memory for its answer

            runner, unloader = threading.Thread(target=run), threading.Thread(target=unload)
            runner.start()
            until(busy)
            unloader.start()
            until(lambda: b"UNLOADING" in s.get("/v2/repository/index", "POST", b"", admin)[2]
                  or b"UNAVAILABLE" in s.get("/v2/repository/index", "POST", b"", admin)[2])
            self.none_left.touch()
            runner.join()
            self.none_left.unlink()
            unloader.join()
            self.assertEqual(answers, [200])


if __name__ == "__main__":
    unittest.main()
