"""perseus measure: how the requests of a campaign travel and whom they ask (a private CA, Unix sockets,
replicas, mixes), and what a resumed campaign has to notice: another machine, another price."""
import http.server
import json
import sqlite3
import ssl
import subprocess
import threading
import unittest

import numpy
import yaml

from support import perseus
from support.campaigns import Folder
from support.perseus import Server, synthetic, tensor

FAST = synthetic(mean="1ms")
PAGE = b"# TYPE up gauge\nup 1\n"


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        pass


class Ways(Folder):
    def short(self, tenants, models=("m",), **more):
        """One block at the demand rates, of each tenant alone."""
        c = {"name": "ways", "seed": 3, "together": "none",
             "models": [m if isinstance(m, dict) else {"name": m} for m in models],
             "tenants": [{"demand": "100/s", "sla": "p95<=1s", **t} for t in tenants],
             "search": {"sets": "none"},
             "confirm": {"trials": 1, "duration": "300ms", "warmup": "0s"}, **more}
        path = self.dir / "c.yaml"
        path.write_text(yaml.safe_dump(c, sort_keys=False))
        return path

    def good(self, path, *more):
        done = self.measure(path, "--json", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def outcomes(self):
        """Of each tenant, in order: its requests by outcome."""
        return [json.loads(x) for x, in self.query(
            "SELECT outcomes FROM result JOIN trial ON trial.id = trial JOIN cell ON"
            " cell.id = cell ORDER BY tenant_idx")]

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.dir, capture_output=True, check=True)

    def certificates(self):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", "/CN=ca",
                     "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=s", "-keyout", "s.key",
                     "-out", "s.csr")
        (self.dir / "ext").write_text("subjectAltName=DNS:models.example\n")
        self.openssl("x509", "-req", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", 2, "-extfile", "ext", "-out", "s.pem")

    def secure_metrics(self):
        """https://... of a page with one sample."""
        server = http.server.HTTPServer(("127.0.0.1", 0), Metrics)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.dir / "s.pem", self.dir / "s.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"https://127.0.0.1:{server.server_port}/metrics"

    def test_private_authority(self):
        """Whom server trusts, trust its tenants and its metrics; without it nothing is measured."""
        self.certificates()
        tls = {"cert": str(self.dir / "s.pem"), "key": str(self.dir / "s.key")}
        trust = {"tls_ca": "ca.pem", "tls_name": "models.example"}  # beside the campaign's file
        with Server({"m": FAST}, config={"tls": tls}) as s:
            server = {"url": "https://" + s.url, "metrics": self.secure_metrics()}
            path = self.short([{"name": "t", "model": "m"}], server={**server, **trust})
            self.good(path)
            self.assertEqual(list(self.outcomes()[0]), ["ok"])
            self.assertEqual(self.query("SELECT series, before, after FROM scrape"), [("up", 1, 1)])
            self.db.unlink()
            path = self.short([{"name": "t", "model": "m", **trust}], server={"url": server["url"]})
            self.good(path)
            self.db.unlink()
            path = self.short([{"name": "t", "model": "m"}], server=server)
            done = self.measure(path)
            self.assertEqual(done.returncode, 1, done.stderr)
            (reason,), = self.query("SELECT reason FROM cell")
            self.assertIn("certificate", reason)

    def test_unix_socket(self):
        url, metrics = f"unix:{self.dir}/p.sock", f"unix:{self.dir}/m.sock"
        with Server({"m": FAST}, listen=url, config={"metrics": metrics}):
            self.good(self.short([{"name": "t", "model": "m"}],
                                 server={"url": url, "metrics": metrics}))
        self.assertEqual(list(self.outcomes()[0]), ["ok"])
        self.assertGreater(self.query("SELECT count(*) FROM scrape")[0][0], 0)

    def test_replicas(self):
        """A tenant's own URLs take turns; the server's is asked by who has none."""
        with Server({"m": FAST}) as a, Server({"m": FAST}) as b:
            self.good(self.short([{"name": "t", "model": "m", "url": [a.http, b.http]},
                                  {"name": "u", "model": "m"}], server={"url": a.http}))
            counts = [json.loads(s.get("/v2/models/m/stats")[2])["model_stats"][0]
                      ["inference_stats"]["success"]["count"] for s in (a, b)]
        t, u = (x["ok"] for x in self.outcomes())
        self.assertEqual((counts[0] - u, counts[1]), (t - t // 2, t // 2))

    def test_mix(self):
        """A tenant that asks two models by weight; both are there alone, cold and in batches."""
        self.model("a", mean="1ms")
        self.model("b", mean="1ms", inputs=[tensor("x", shape=(1, 4))],
                   outputs=[tensor("y", shape=(1, 4))])
        models = [{"name": n, "file": f"{n}.synthetic.yaml"} for n in "ab"]
        path = self.short([{"name": "t", "mix": ["a,weight=3", "b"]}], models,
                          slice={"cpus": "0"}, cold={"trials": 1, "duration": "150ms"},
                          profile={"trials": 1, "batches": [1, 2], "duration": "150ms",
                                   "warmup": "10ms"})
        self.good(path)
        self.assertEqual(self.query("SELECT model FROM tenant"), [("a+b",)])
        asked = {}
        for series, after in self.query(
                "SELECT series, after FROM scrape JOIN trial ON trial.id = trial WHERE"
                " role = 'demand' AND series LIKE 'perseus_requests_total%'"):
            asked['model="a"' in series] = asked.get('model="a"' in series, 0) + after
        (records,), = self.query("SELECT records FROM result JOIN trial ON trial.id = trial"
                                 " WHERE role = 'demand'")
        self.assertEqual(sum(asked.values()), records)
        self.assertGreater(asked[True], asked[False])
        # a cell of a model has that model alone
        for key, models in self.query(
                "SELECT key, server ->> 'models' FROM cell WHERE kind IN ('cold', 'profile')"):
            self.assertEqual([m["name"] for m in json.loads(models)], [key[-1]])
        # b takes one size only: that is a result
        self.assertEqual(self.query("SELECT key, name, x FROM figure JOIN cell ON cell.id = cell"
                                    " WHERE kind = 'profile'"),
                         [("profile/0/b", "fixed_batch", 2)])
        batches = {(x["model"], x["batch"]) for x in json.loads(perseus.run(
            "report", self.db, "--json").stdout)["batches"]}
        self.assertEqual(batches, {("a", 1), ("a", 2), ("b", 1)})

    def test_batch_that_fails_for_another_reason(self):
        """Only a fixed first dimension is one."""
        (self.dir / "x.raw").write_bytes(b"123")
        path = self.short([{"name": "t", "model": "a", "input_file": ["x.raw"]}],
                          [{"name": "a", "file": "a.synthetic.yaml"}], slice={"cpus": "0"},
                          confirm={"trials": 0},
                          profile={"trials": 1, "batches": [2], "duration": "150ms"})
        done = self.measure(path)
        self.assertEqual(done.returncode, 1, done.stderr)
        (state, reason), = self.query("SELECT state, reason FROM cell")
        self.assertEqual(state, "failed")
        self.assertIn("x.raw", reason)

    def test_cold_start_and_profile_of_wrong_answers(self):
        """What no request got right has no latency: the cells fail, and say how."""
        self.model("a", mean="0ms", echo=True)
        for name, value in (("x", 1), ("z", 2)):
            numpy.save(self.dir / f"{name}.npy", numpy.full((1, 4), value, numpy.float32))
        path = self.short([{"name": "t", "model": "a", "input_file": ["x.npy"],
                            "expect_file": ["z.npy"]}],
                          [{"name": "a", "file": "a.synthetic.yaml"}], slice={"cpus": "0"},
                          confirm={"trials": 0}, cold={"trials": 1, "duration": "150ms"},
                          profile={"trials": 1, "batches": [1], "duration": "150ms",
                                   "warmup": "10ms"})
        done = self.measure(path)
        self.assertEqual(done.returncode, 1, done.stderr)
        cells = self.query("SELECT kind, state, reason FROM cell ORDER BY kind")
        self.assertEqual([c[:2] for c in cells], [("cold", "failed"), ("profile", "failed")])
        for _, _, reason in cells:
            self.assertRegex(reason, r"^none of (\d+) requests of \S+ succeeded \(\1 wrong_answer\)")


class Resumed(Folder):
    def short(self, **more):
        return self.write(search={"sets": "none"}, together="none",
                          confirm={"trials": 1, "duration": "200ms", "warmup": "0s"}, **more)

    def elsewhere(self, campaign):
        """As if the campaign had been measured on another machine."""
        db = sqlite3.connect(self.db)
        with db:
            db.execute("UPDATE campaign SET manifest = json_replace(manifest,"
                       " '$.runs[0].machine.processor.model', 'Another CPU') WHERE id = ?",
                       [campaign])
        db.close()

    def test_another_machine(self):
        path = self.short()
        self.assertEqual(self.measure(path).returncode, 0)
        self.elsewhere(1)
        for more in (["--resume"], ["--resume", "--dry-run"]):
            done = self.measure(path, *more)
            self.assertNotIn(done.returncode, (0, 1))
            self.assertIn("another machine: processor Another CPU, here ", done.stderr)
            self.assertIn("run without --resume", done.stderr)
        # the documented way: anew, beside the old one, and compared with it
        self.assertEqual(self.measure(path).returncode, 0)
        self.assertEqual(self.measure(path, "--resume").returncode, 0)
        self.assertEqual(self.query("SELECT count(*) FROM campaign"), [(2,)])
        both = perseus.run("report", self.db, "--against", "1", "--json")
        self.assertIn(both.returncode, (0, 1), both.stderr)
        # of several the last one of this machine goes on, and it is said which
        self.assertEqual(self.measure(path).returncode, 0)
        self.elsewhere(3)
        done = self.measure(path, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("going on with campaign 2: 1 begun later", done.stderr)
        self.assertEqual(self.query("SELECT count(*) FROM campaign"), [(3,)])

    def test_damaged_cell(self):
        """A value that changed in the store is no result, whether the campaign changed or not."""
        path = self.short()
        self.assertEqual(self.measure(path).returncode, 0)
        for campaign in (1, 2):
            (key,), = self.query("SELECT key FROM cell WHERE state = 'done' AND campaign = ?"
                                 " ORDER BY id LIMIT 1", campaign)
            db = sqlite3.connect(self.db)
            with db:
                db.execute("UPDATE trial SET server_cpu_ns = server_cpu_ns * 2 + 1 WHERE cell ="
                           " (SELECT id FROM cell WHERE campaign = ? AND key = ?)", [campaign, key])
            db.close()
            self.assertEqual(perseus.run("store", "check", self.db).returncode, 1)
            self.assertIn(f"cell {key} is not what was written",
                          perseus.run("report", self.db).stdout)
            if campaign == 2:
                path.write_text(path.read_text().replace("trials: 1", "trials: 2"))
            plan = json.loads(self.measure(path, "--resume", "--dry-run", "--json").stdout)
            self.assertEqual({c["key"]: c["fate"] for c in plan["cells"]}[key], "changed")
            done = self.measure(path, "--resume")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"cell {key}: what the store holds is not what was written", done.stderr)
            # measured again in a form of its own; the damage stays where it was, and is found
            self.assertEqual(self.query("SELECT state FROM cell WHERE campaign = ? AND key = ?",
                                        campaign + 1, key), [("done",)])
            said = perseus.run("store", "check", self.db).stdout
            self.assertEqual(said.count("its content is not what was written"), campaign, said)
            self.assertNotIn("DAMAGED", perseus.run("report", self.db).stdout)

    def test_another_price(self):
        """The sheet changed, the campaign did not: a form of its own with all results."""
        path = self.short(slice={"cpus": "0", "priced_as": "i"})

        def price(usd):
            row = {"provider": "p", "region": "r", "instance_type": "i", "vcpu": 1, "memory_gib": 2,
                   "on_demand_usd_per_hour": usd, "source": "s", "source_date": "2026-01-01"}
            (self.dir / "prices.yaml").write_text(yaml.safe_dump({"prices": [row]}))

        price(0.1)
        self.assertEqual(self.measure(path).returncode, 0)
        self.assertEqual(self.measure(path, "--resume").returncode, 0)
        self.assertEqual(self.query("SELECT count(*) FROM campaign"), [(1,)])
        price(0.2)
        self.assertIn("the price has changed",
                      self.measure(path, "--resume", "--dry-run").stdout)
        done = self.measure(path, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the price has changed: 2 done cells stay valid", done.stderr)
        self.assertEqual(self.query("SELECT price_usd_per_hour FROM campaign ORDER BY id"),
                         [(0.1,), (0.2,)])
        self.assertEqual(self.query("SELECT max(attempt) FROM cell"), [(1,)])


if __name__ == "__main__":
    unittest.main()
