"""The examples and what the documents name: configurations are checked and started as their own
comments say, and every metric of the dashboard and of the alert rules is one that is printed."""
# timeout: 120
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import perseus

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
DASHBOARD = SOURCE / "examples/grafana/perseus.json"
GUIDE = SOURCE / "docs/operators-guide.md"
METRIC = re.compile(r"\b(?:perseus|nv|process)_[a-z0-9_]+")
# A counter's name is whole; what a histogram prints has one of these behind the family's.
SUFFIXES = ("_bucket", "_sum", "_count")


class Examples(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-test-"))
        self.addCleanup(shutil.rmtree, self.dir, True)
        shutil.copytree(SOURCE / "examples/serve", self.dir, dirs_exist_ok=True)

    def commands(self, name):
        """The indented lines of the comment at the file's head, continued lines joined."""
        text = (self.dir / name).read_text().replace("\\\n#", "")
        return [m[1].split("  #")[0].strip() for m in re.finditer(r"^#   +(\S.*)$", text, re.M)]

    def prepare(self, name):
        """Does what the head says, but for the server and its clients."""
        printed = []
        for line in self.commands(name):
            if line.startswith("perseus serve keys"):
                done = perseus.run(*line.split()[1:], cwd=self.dir)
            elif line.startswith(("openssl ", "cp ")):
                done = subprocess.run(line.split(), cwd=self.dir, capture_output=True, text=True)
            else:
                continue
            self.assertEqual(done.returncode, 0, line + done.stderr)
            printed.append(done.stdout)
        return printed

    def check(self, path):
        done = perseus.run("serve", "--config", path, "--check-config", cwd=path.parent)
        self.assertEqual(done.returncode, 0, done.stderr)

    def start(self, name, key, path):
        """Starts it on free ports and gives what it answers to GET `path`."""
        process = subprocess.Popen(
            [perseus.PERSEUS, "serve", "--config", name, "--listen", "127.0.0.1:0", "--grpc",
             "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--ready-fd", "1"],
            cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            address = json.loads(process.stdout.readline())["http"]
            more = ["--cacert", "server.pem", "--cert", "shop.pem", "--key", "shop.key"]
            more = more if not key else ["-H", f"Authorization: Bearer {key}"]
            done = subprocess.run(
                ["curl", "-sS", *more, f"http{'' if key else 's'}://{address}{path}"],
                cwd=self.dir, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=perseus.STOP_SECONDS), 0)
            process.stdout.close()
            process.stderr.close()

    def test_tenants(self):
        keys = self.prepare("tenants.yaml")
        self.check(self.dir / "tenants.yaml")
        shop = keys[0].split()[1]
        self.assertEqual(self.start("tenants.yaml", shop, "/v2/models/echo")["name"], "echo")
        self.assertIn("error", self.start("tenants.yaml", shop + "x", "/v2/models/echo"))

    def test_tls(self):
        self.prepare("tls.yaml")
        self.check(self.dir / "tls.yaml")
        self.assertEqual(self.start("tls.yaml", None, "/v2/models/echo")["name"], "echo")

    def test_of_the_package(self):
        path = self.dir / "perseus.yaml"
        text = (SOURCE / "packaging/perseus.yaml").read_text()
        path.write_text(text.replace("../../usr/share/perseus/examples", "models"))
        self.check(path)

    def test_of_kserve(self):
        text = (SOURCE / "examples/kserve/serving-runtime.yaml").read_text()
        config = next(d["data"]["kserve.yaml"] for d in perseus.yaml.safe_load_all(text)
                      if d["kind"] == "ConfigMap")
        path = self.dir / "kserve.yaml"
        path.write_text(config.replace("/mnt/models", str(self.dir / "models")))
        self.check(path)


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        pages = [cls.page({}), cls.page({"model_memory": "1GiB"})]
        cls.families = set(re.findall(r"^# TYPE (\S+) ", pages[0], re.M))
        cls.series = set(re.findall(r"^([a-z0-9_]+)[ {]", pages[0], re.M))
        cls.all_families = set(re.findall(r"^# TYPE (\S+) ", "\n".join(pages), re.M))

    @staticmethod
    def page(config):
        """What a server with these keys says after an answer and a refusal."""
        tenants = [{"name": "shop", "sla": "p99 <= 1s"}]
        with perseus.Server({"echo": perseus.synthetic()}, tenants, config=config) as server:
            inputs = [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]
            for shape in ([1, 4], [1, 3]):
                inputs[0]["shape"] = shape
                server.infer("echo", inputs)
            return subprocess.run(["curl", "-sS", f"http://{server.ready['metrics']}/metrics"],
                                  capture_output=True, text=True, check=True).stdout

    def check_names(self, text):
        names = set(METRIC.findall(text))
        self.assertTrue(names)
        # Both: a family without samples helps nobody, and a sample has to belong to a family.
        for name in names:
            family = next((name[:-len(s)] for s in SUFFIXES if name.endswith(s)
                           and name[:-len(s)] in self.families), name)
            self.assertIn(family, self.families)
            self.assertIn(name, self.series)

    def test_dashboard(self):
        dashboard = json.loads(DASHBOARD.read_text())
        panels = [p for p in dashboard["panels"] if p["type"] != "row"]
        self.assertGreater(len(panels), 10)
        self.assertEqual(len({p["id"] for p in dashboard["panels"]}), len(dashboard["panels"]))
        for panel in panels:
            for target in panel["targets"]:
                with self.subTest(panel=panel["title"]):
                    self.assertEqual(target["expr"].count("("), target["expr"].count(")"))
                    self.check_names(target["expr"])

    def test_alert_rules(self):
        block = re.search(r"```yaml\n(groups:\n.*?)```", GUIDE.read_text(), re.S)[1]
        rules = perseus.yaml.safe_load(block)["groups"][0]["rules"]
        self.assertGreaterEqual(len(rules), 3)
        for rule in rules:
            with self.subTest(alert=rule["alert"]):
                self.check_names(rule["expr"])

    def test_guide_names_only_what_is_there(self):
        for name in set(re.findall(r"`((?:perseus|nv)_[a-z0-9_]+)[`{]", GUIDE.read_text())):
            with self.subTest(name=name):
                self.assertIn(name, self.all_families)


if __name__ == "__main__":
    unittest.main()
