"""The Debian package: what it holds, and that the program in it runs and serves."""
# timeout: 180
# sanitizers: no (the package is of the release build)
import os
import pathlib
import subprocess
import tempfile
import unittest

from support import perseus


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.dir = pathlib.Path(folder.name)
        made = subprocess.run(["cpack", "-G", "DEB", "-B", cls.dir, "--config",
                               os.path.join(os.environ["PS_BUILD_DIR"], "CPackConfig.cmake")],
                              cwd=cls.dir, capture_output=True, text=True)
        if made.returncode != 0:
            raise AssertionError(made.stdout + made.stderr)
        (cls.deb,) = cls.dir.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", cls.deb, cls.dir / "root"], check=True)
        subprocess.run(["dpkg-deb", "-e", cls.deb, cls.dir / "control"], check=True)

    def test_files(self):
        files = {str(p.relative_to(self.dir / "root"))
                 for p in (self.dir / "root").rglob("*") if p.is_file()}
        self.assertLessEqual({"usr/bin/perseus", "usr/libexec/perseus/perseus-convert",
                              "etc/perseus/perseus.yaml", "lib/systemd/system/perseus.service",
                              "usr/share/man/man1/perseus.1"},
                             {f.replace("usr/lib/systemd", "lib/systemd") for f in files})

    def test_control(self):
        control = (self.dir / "control/control").read_text()
        self.assertRegex(control, r"(?m)^Depends: .*libnghttp2-14")
        self.assertRegex(control, r"(?m)^Recommends: liblapacke, libsvm3")
        self.assertRegex(control, r"(?m)^Package: perseus$")
        self.assertEqual((self.dir / "control/conffiles").read_text(), "/etc/perseus/perseus.yaml\n")
        for script in ("postinst", "prerm", "postrm"):
            path = self.dir / "control" / script
            self.assertEqual(path.stat().st_mode & 0o777, 0o755, script)
            subprocess.run(["sh", "-n", path], check=True)

    def test_configuration_is_valid(self):
        done = subprocess.run([self.dir / "root/usr/bin/perseus", "serve", "--config",
                               self.dir / "root/etc/perseus/perseus.yaml", "--check-config"],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_it_serves(self):
        program = self.dir / "root/usr/bin/perseus"
        with perseus.Server(models={"m": perseus.synthetic(inputs=[perseus.tensor("x")])},
                            program=program) as server:
            self.assertEqual(server.get("/v2/health/ready")[0], 200)

    def test_unit(self):
        unit = self.dir / "perseus.service"
        (found,) = (self.dir / "root").rglob("perseus.service")
        unit.write_text(found.read_text().replace("/usr/bin/perseus",
                                                  str(self.dir / "root/usr/bin/perseus")))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                              text=True)
        mine = [line for line in done.stderr.splitlines() if "perseus.service" in line]
        self.assertEqual(mine, [], done.stderr)


if __name__ == "__main__":
    unittest.main()
