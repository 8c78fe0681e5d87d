"""The engine's profile of a model: by operator, by node, and what the machine beside it can do."""
import json
import unittest

from support import campaigns, perseus


@perseus.needs_onnxruntime
class Operators(campaigns.Folder):
    def test_bench_by_node(self):
        model = self.dir / "squeezenet1_1.onnx"
        made = perseus.run("zoo", "write", "--dir", self.dir, "squeezenet1_1")
        self.assertEqual(made.returncode, 0, made.stderr)
        r = perseus.run("bench", model, "--operators", 2, "--cache-dir", self.dir / "cache",
                        "--json")
        self.assertEqual(r.returncode, 0, r.stderr)
        r = json.loads(r.stdout)
        by_operator = {o["operator"]: o["calls_per_run"] for o in r["operators"]}
        by_node = {}
        for n in r["nodes"]:
            by_node[n["operator"]] = by_node.get(n["operator"], 0) + n["calls_per_run"]
        self.assertEqual(by_operator, by_node)
        self.assertEqual(len({n["node"] for n in r["nodes"]}), len(r["nodes"]))
        self.assertAlmostEqual(sum(n["ns_per_run"] for n in r["nodes"]),
                               sum(o["ns_per_run"] for o in r["operators"]), delta=1)

    def test_in_the_store(self):
        models = [{"name": n, "file": f"{n}.synthetic.yaml"} for n in "ab"]
        models.append({"name": "squeezenet", "zoo": "squeezenet1_1"})
        path = self.dir / "c.yaml"
        c = campaigns.campaign(models, together="none", search={"sets": "none"},
                               confirm={"trials": 0}, operators={"runs": 2})
        c["tenants"].append({"name": "tc", "model": "squeezenet", "demand": "1/s",
                             "sla": "p95<=1s"})
        path.write_text(json.dumps(c))
        done = self.measure(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = self.query("SELECT f.name, f.subject, f.x, f.value, f.count FROM figure f "
                          "JOIN cell c ON c.id = f.cell WHERE c.key = 'operators/0/squeezenet'")
        nodes = [r for r in rows if r[0] == "node_time"]
        self.assertEqual(len(nodes), 40)
        self.assertEqual(sum(r[1].startswith("Conv:") for r in nodes), 26)
        self.assertTrue(all(":" in r[1] and r[2] == 1 and r[3] >= 0 for r in nodes))
        machine = {(r[0], r[2]): r[3] for r in rows if r[0].startswith("machine_")}
        self.assertGreater(machine["machine_macs", 1], 1e6)
        self.assertEqual(sorted(x for n, x in machine if n == "machine_bandwidth"),
                         [16 << 10, 256 << 10, 4 << 20, 64 << 20])
        self.assertIn(machine["machine_block", None], (8, 16))


if __name__ == "__main__":
    unittest.main()
