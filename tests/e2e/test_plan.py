# timeout: 240
"""`perseus plan`: what it plans, what it says, what it refuses, and that its servers would start."""
import json
import math
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import yaml

from support.perseus import run, synthetic

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])

PRICES = [  # (type, vCPU, GiB, $/h, spot $/h)
    ("small", 2, 4, 0.10, 0.03), ("medium", 4, 8, 0.20, 0.06), ("large", 8, 16, 0.38, None)]


def price(name, vcpu, gib, usd, spot):
    row = {"provider": "p", "region": "r", "instance_type": name, "vcpu": vcpu, "memory_gib": gib,
           "on_demand_usd_per_hour": usd, "source": "a test", "source_date": "2026-01-01"}
    return {**row, "spot_usd_per_hour": spot} if spot else row


def profile(model, service="50ms", **more):
    return {"model": model, "path": f"{model}.synthetic.yaml", "service": service, "error": "2%",
            "memory": "200MiB", "load_peak": "300MiB", "source": "a test", **more}


def machines(found):
    return found["placements"]["plan"]["machines"]


def tenant(name, **more):
    return {"name": name, "model": "a", "rate": "5/s", "sla": "p99 <= 300ms", **more}


class Plan(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-plan-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.prices = [price(*row) for row in PRICES]
        self.profiles = [profile("a"), profile("b", "10ms", instance_type="small"),
                         profile("b", "11ms")]
        self.revocations = None
        for name in "ab":
            (self.dir / f"{name}.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))

    def plan(self, tenants, *args, code=0, **more):
        """Plans and gives JSON, or what was said on stderr when another code is wanted."""
        (self.dir / "prices.yaml").write_text(yaml.safe_dump({"prices": self.prices}))
        (self.dir / "profiles.yaml").write_text(yaml.safe_dump({"profiles": self.profiles}))
        text = {"prices": "prices.yaml", "profiles": "profiles.yaml", "tenants": tenants, **more}
        if self.revocations:
            (self.dir / "spot.yaml").write_text(yaml.safe_dump({"revocations": self.revocations}))
            text["revocations"] = "spot.yaml"
        path = self.dir / "plan.yaml"
        path.write_text(yaml.safe_dump(text, sort_keys=False))
        done = run("plan", path, "--json", "--time-limit", "20s", "--today", "2026-11-22", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        if code:
            self.assertEqual(done.stdout, "")
            return done.stderr
        self.assertEqual(done.stderr, "")
        return json.loads(done.stdout)

    def check(self, found, tenants):
        """Every tenant has all of its traffic, on different machines, inside its limit."""
        traffic = {}
        for machine in machines(found):
            here = [t["tenant"] for t in machine["tenants"]]
            self.assertEqual(len(here), len(set(here)))
            self.assertLessEqual(machine["memory_used_bytes"], machine["memory_bytes"])
            for t in machine["tenants"]:
                traffic[t["tenant"]] = traffic.get(t["tenant"], 0) + t["share"]
                self.assertLessEqual(t["p99_ms"], t["p99_high_ms"] * (1 + 1e-9))
                self.assertLessEqual(t["p99_high_ms"], t["limit_ms"] * (1 + 1e-6))
        self.assertEqual(set(traffic), set(tenants))
        for share in traffic.values():
            self.assertAlmostEqual(share, 1)
        self.assertAlmostEqual(sum(m["usd_per_hour"] for m in machines(found)),
                               found["usd_per_hour"])
        self.assertAlmostEqual(found["usd_per_month"], 730 * found["usd_per_hour"], places=6)
        self.assertLessEqual(found["bound_usd_per_hour"], found["usd_per_hour"] + 1e-9)
        self.assertLessEqual(found["any_split_bound_usd_per_hour"], found["usd_per_hour"] + 1e-9)

    def test_sharing_is_cheaper_and_proven(self):
        found = self.plan([tenant("t", count=6), tenant("u", model="b", rate="20/s")])
        self.check(found, [f"t-{i}" for i in range(1, 7)] + ["u"])
        self.assertTrue(found["proof"] == "optimal")
        self.assertEqual(found["compared"]["dedicated"]["machines"], 7)
        self.assertAlmostEqual(found["compared"]["dedicated"]["usd_per_hour"], 0.7)
        self.assertLess(found["usd_per_hour"], found["compared"]["dedicated"]["usd_per_hour"])
        self.assertGreaterEqual(found["compared"]["homogeneous"]["usd_per_hour"], found["usd_per_hour"] - 1e-9)
        self.assertEqual(found["compared"]["homogeneous"]["broken_parts"], 0)

    def test_same_optimum_as_every_plan(self):
        tenants = [tenant("t", count=3, rate="11/s"), tenant("u", model="b", rate="70/s"),
                   tenant("v", rate="23/s", sla="p95 <= 200ms"), tenant("w", rate="2/s")]
        best = self.plan(tenants, "--method", "exhaustive")
        found = self.plan(tenants)
        # Finer splits may be cheaper still; the least parts are what every plan was tried for.
        self.assertLessEqual(found["usd_per_hour"], best["usd_per_hour"] + 1e-9)
        if found["search"]["fineness"] == 0:
            self.assertAlmostEqual(found["usd_per_hour"], best["usd_per_hour"])

    def test_a_seed_repeats_the_plan(self):
        tenants = [tenant(f"t{i}", rate=f"{3 + 2 * i}/s") for i in range(12)]
        first = self.plan(tenants, "--seed", "7")
        self.assertFalse(first["search"]["cut_by_time"])
        self.assertEqual(first, self.plan(tenants, "--seed", "7"))

    def test_high_rates_are_split(self):
        found = self.plan([tenant("big", rate="400/s")])
        self.check(found, ["big"])
        self.assertGreater(found["machines"], 2)

    def test_curves_that_peak_at_different_times_share(self):
        day, night = ["18/s", "0", "0"], ["0", "18/s", "0"]
        flat = self.plan([tenant("d", rate="18/s"), tenant("n", rate="18/s")])
        curve = {k: v for k, v in tenant("d").items() if k != "rate"}
        found = self.plan([{**curve, "rates": day}, {**curve, "name": "n", "rates": night}])
        self.check(found, ["d", "n"])
        self.assertLess(found["usd_per_hour"], flat["usd_per_hour"])

    def test_replicas_survival_and_apart(self):
        for more, count in (({}, 1), ({"replicas": 3}, 3), ({"survive": True}, 2)):
            found = self.plan([tenant("t", rate="1/s", **more)])
            self.check(found, ["t"])
            self.assertEqual(found["machines"], count)
        found = self.plan([tenant("t", rate="1/s"), tenant("u", rate="1/s", apart_from=["t"])])
        self.assertEqual([len(m["tenants"]) for m in machines(found)], [1, 1])
        found = self.plan([tenant("t", rate="1/s", instance_types=["large"])])
        self.assertEqual(machines(found)[0]["instance_type"], "large")

    def test_first_fit_keeps_what_is_asked(self):
        """Of tenants of next to no load: how many machines first fit by CPU then has to rent."""
        for tenants, count in (
                ([tenant("t", rate="1/s"), tenant("u", rate="1/s")], 1),
                ([tenant("t", rate="1/s", apart_from=["u", "v"]), tenant("u", rate="1/s"),
                  tenant("v", rate="1/s")], 2),
                ([tenant("t", rate="1/s"), tenant("u", rate="1/s", apart_from=["t"]),
                  tenant("v", rate="1/s", apart_from=["t", "u"])], 3),
                ([tenant("t", rate="1/s", replicas=3), tenant("u", rate="1/s")], 3),
                ([tenant("t", rate="1/s", survive=True, apart_from=["u"]),
                  tenant("u", rate="1/s", replicas=2)], 4)):
            with self.subTest(tenants=tenants):
                other = self.plan(tenants)["compared"]["first_fit_cpu"]
                self.assertEqual((other["machines"], other["broken_parts"]), (count, 0))
                self.assertAlmostEqual(other["saving"], 0)

    def test_no_saving_beside_what_is_no_plan(self):
        """First fit by CPU breaks an agreement that leaves less room: no saving is shown then."""
        found = self.plan([tenant("t", count=8, rate="7/s", sla="p99 <= 115ms")])
        other = found["compared"]["first_fit_cpu"]
        self.assertGreater(other["broken_parts"], 0)
        self.assertIsNone(other["saving"])
        said = run("plan", self.dir / "plan.yaml").stdout
        self.assertRegex(said, r"first fit by CPU to 70 % .* no plan .* would break their agreement")

    def test_why_there_is_no_other(self):
        found = self.plan([tenant("t", instance_types=["small"]),
                           tenant("u", instance_types=["large"])])
        self.assertIsNone(found["compared"]["first_fit_cpu"])
        said = run("plan", self.dir / "plan.yaml").stdout
        for name in ("best with one type", "first fit by CPU to 70 %"):
            self.assertRegex(said, f"{name} +none +no type may hold every tenant")

    def test_like_another(self):
        found = self.plan([tenant("t", rate="1/s", survive=True),
                           {"name": "u", "like": "t", "survive": False},
                           {"name": "v", "like": "u", "model": "b"}])
        self.check(found, ["t", "u", "v"])
        said = {t["name"]: (t["parts"], t["model"], t["rps"]) for t in found["tenants"]}
        self.assertEqual(said, {"t": (2, "a", 1), "u": (1, "a", 1), "v": (1, "b", 1)})

    def test_survivors_carry_the_load(self):
        """One of n machines may go: the others' share of a tenant is what each was sized for."""
        found = self.plan([tenant("t", rate="60/s", survive=True)])
        parts = found["machines"]
        each = 60 / (parts - 1)
        for machine in machines(found):
            lanes = {"small": 2, "medium": 4, "large": 8}[machine["instance_type"]]
            self.assertAlmostEqual(machine["tenants"][0]["load"], each * 0.05 / lanes)

    def test_spot(self):
        self.revocations = [{"per_hour": 0.5, "start": "6m", "notice": "30s", "source": "a test",
                             "source_date": "2026-01-01"}]
        tenants = [tenant("t", rate="100/s", spot=True)]
        found = self.plan(tenants)
        self.check(found, ["t"])
        self.assertTrue(all(m["market"] == "spot" for m in machines(found)))
        self.assertGreater(found["machines"], 1)
        self.assertLess(found["usd_per_hour"], found["without_spot_usd_per_hour"])
        one = machines(found)[0]
        # Each revocation pays a tenth of an hour of a machine that starts: 0.5 x 0.1.
        self.assertAlmostEqual(one["usd_per_hour"], one["listed_usd_per_hour"] * 1.05)
        self.assertAlmostEqual(found["revocations_per_month"], 365 * found["machines"])
        self.assertEqual(found["revocations_outlived_by"], "replica")
        self.assertNotIn("without_notice_usd_per_hour", found)
        # The next one is started at the notice: it is missed for 5.5 minutes of each two hours.
        there, n = 1 / (1 + 0.5 * 5.5 / 60), found["machines"]
        self.assertAlmostEqual(found["spot_two_away"],
                               1 - there**n - n * (1 - there) * there**(n - 1))
        for row in self.prices:  # so dear that the spare replica does not pay
            if "spot_usd_per_hour" in row:
                row["spot_usd_per_hour"] = row["on_demand_usd_per_hour"]
        found = self.plan(tenants)
        self.assertFalse(any(m["market"] == "spot" for m in machines(found)))

    def test_notice(self):
        """(notice, more of the tenant, machines): a replacement in time needs no replica."""
        tenants = [tenant("t", rate="1/s", spot=True)]
        for notice, more, count in (("359s", {}, 2), ("6m", {}, 1), ("10m", {"survive": True}, 2)):
            with self.subTest(notice=notice):
                self.revocations = [{"per_hour": 0.5, "start": "6m", "notice": notice,
                                     "source": "a test", "source_date": "2026-01-01"}]
                found = self.plan([{**tenants[0], **more}])
                self.check(found, ["t"])
                self.assertEqual(found["machines"], count)
                self.assertAlmostEqual(found["usd_per_hour"], count * 0.03 * 1.05)
                self.assertAlmostEqual(found["without_spot_usd_per_hour"], 0.2 if more else 0.1)
                if count == 1:
                    self.assertEqual(found["revocations_outlived_by"], "notice")
                    self.assertAlmostEqual(found["without_notice_usd_per_hour"], 2 * 0.03 * 1.05)
                    self.assertEqual(found["spot_two_away"], 0)
                    said = run("plan", self.dir / "plan.yaml").stdout
                    self.assertIn("Without counting on the notice: 0.063 $/h.", said)
                elif more:
                    self.assertEqual(found["spot_two_away"], 0)

    def test_notice_of_some_types(self):
        """Without a replica only on types that are replaced in time, though another is cheaper."""
        said = {"per_hour": 0.5, "source": "a test", "source_date": "2026-01-01"}
        self.prices[1]["spot_usd_per_hour"] = 0.04
        self.prices[0]["spot_usd_per_hour"] = 0.03
        self.revocations = [{**said, "instance_type": "small", "start": "6m"},
                            {**said, "instance_type": "medium", "start": "2m", "notice": "2m"}]
        found = self.plan([tenant("t", rate="1/s", spot=True)])
        self.assertEqual([(m["instance_type"], m["market"]) for m in machines(found)],
                         [("medium", "spot")])
        self.assertAlmostEqual(found["usd_per_hour"], 0.04 * (1 + 0.5 / 30))
        self.assertAlmostEqual(found["without_notice_usd_per_hour"], 2 * 0.03 * 1.05)

    def test_service_times_of_the_type(self):
        found = self.plan([tenant("t", model="b", rate="1/s")])
        self.assertEqual(machines(found)[0]["instance_type"], "small")
        self.assertFalse(machines(found)[0]["tenants"][0]["extrapolated"])
        self.assertAlmostEqual(machines(found)[0]["tenants"][0]["load"], 0.005)
        found = self.plan([tenant("t", model="b", rate="1/s", instance_types=["large"])])
        self.assertTrue(machines(found)[0]["tenants"][0]["extrapolated"])

    def test_servers_start_with_it(self):
        out = self.dir / "machines"
        found = self.plan([tenant("t", count=3), tenant("u", model="b")],
                          "--serve-dir", out)
        files = sorted(out.iterdir())
        self.assertEqual(len(files), found["machines"])
        for path, machine in zip(files, machines(found)):
            config = yaml.safe_load(path.read_text())
            names = [t["tenant"] for t in machine["tenants"]]
            self.assertEqual([t["name"] for t in config["tenants"]], names)
            for name in names:
                done = run("serve", "keys", "create", "--config", path, "--tenant", name)
                self.assertEqual(done.returncode, 0, done.stderr)
            done = run("serve", "--config", path, "--check-config", "--listen", "127.0.0.1:0",
                       "--grpc", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_gpu_is_one_lane(self):
        def gpu(name, count):
            return {**price(name, 4, 16, 0.5, None), "gpu_kind": "T4", "gpu_count": count}
        self.prices += [gpu("one", 1), gpu("four", 4)]
        self.profiles.append(profile("a", "2ms", gpu_kind="T4"))
        out = self.dir / "machines"
        found = self.plan([tenant("t", rate="100/s", instance_types=["one"])], "--serve-dir", out)
        self.assertAlmostEqual(machines(found)[0]["tenants"][0]["load"], 0.2)
        config = yaml.safe_load(next(out.iterdir()).read_text())
        self.assertEqual((config["lanes"], config["models"][0]["device"]), (1, "cuda:0"))
        self.assertIn("has 4 GPUs", self.plan([tenant("t")], code=2, instance_types=["four"]))
        self.assertNotIn("four", json.dumps(self.plan([tenant("t", rate="900/s", count=4)])))

    def test_prices_are_dated(self):
        """Of what is rented: source and date, and a warning when that is over a year old."""
        found = self.plan([tenant("t")])
        self.assertEqual(found["prices"], [
            {"provider": "p", "region": "r", "instance_type": "small", "source": "a test",
             "source_date": "2026-01-01"}])
        done = run("plan", self.dir / "plan.yaml", "--today", "2027-01-02")
        self.assertEqual(done.stderr, "perseus: warning: the price of small is of 2026-01-01, over "
                         "a year before 2027-01-02: look it up again\n")
        self.assertIn("\nPrices are from:\n  p/small in r, 2026-01-01: a test\n    WARNING: the price "
                      "of small is of 2026-01-01, over a year", done.stdout)
        found = json.loads(run("plan", self.dir / "plan.yaml", "--today", "2027-01-02",
                               "--json").stdout)
        self.assertIn("over a year", found["prices"][0]["warning"])
        done = run("plan", self.dir / "plan.yaml", "--today", "2026-11-22")
        self.assertIn("\n  p/small in r, 2026-01-01: a test\n", done.stdout)
        self.assertNotIn("WARNING", done.stdout)
        done = run("plan", self.dir / "plan.yaml", "--today", "tomorrow")
        self.assertEqual(done.returncode, 64)
        self.assertIn("'tomorrow' is no day", done.stderr)

    def test_text(self):
        self.plan([tenant("shop"), tenant("lab", rate="1/s")])
        done = run("plan", self.dir / "plan.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in ("2 tenants on 1 machine: ", "$/month", "No plan for these parts is cheaper",
                     "dedicated machines", "machine 1: p/small", "shop", "upper end"):
            self.assertIn(part, done.stdout)

    def test_refusals(self):
        """(tenants, more of the plan, exit code, parts of what is said)."""
        for tenants, more, code, parts in (
                ([tenant("t", sla="p99 <= 20ms")], {}, 2,
                 ("plan.yaml:", ":sla", "tenant t", "too slow even without any load",
                  "the nearest that is possible at its rate is p99 <= ")),
                ([tenant("t", model="c")], {}, 4, (":model", "'c'", "profiles.yaml")),
                ([tenant("t", rate="0/s")], {}, 2, ("plan.yaml:", ":rate")),
                ([tenant("t", rate="-5/s")], {}, 2, ("plan.yaml:", "rate")),
                ([{**tenant("t"), "rate": ".nan"}], {}, 2, ("plan.yaml:", "rate")),
                ([{k: v for k, v in tenant("t").items() if k != "sla"}], {}, 2,
                 ("tenant t has no sla",)),
                ([tenant("a b")], {}, 2, (":name", "'a b'")),
                ([tenant("t"), tenant("t")], {}, 2, ("two tenants are called 't'",)),
                ([tenant("t", like="u"), tenant("u", like="t")], {}, 2, (":like", "circle")),
                ([tenant("t", like="shpo"), tenant("shop")], {}, 4, ("did you mean 'shop'?",)),
                ([tenant("t", apart_from=["t"])], {}, 2, ("apart from itself",)),
                ([tenant("t", apart_from=["x"])], {}, 4, (":apart_from", "'x'")),
                ([tenant("t", instance_types=["huge"])], {}, 4, (":instance_types", "'huge'")),
                ([tenant("t")], {"instance_types": ["smal"]}, 4, ("did you mean small?",)),
                ([tenant("t")], {"server_memory": "20GiB"}, 2, ("takes", "16.0 GiB")),
                ([tenant("t", rate="1000000/s")], {}, 2, ("needs", "machines for itself")),
                ([{**tenant("t"), "rates": ["1/s"]}], {}, 2, ("both a rate and rates",)),
        ):
            with self.subTest(parts[0], tenants=tenants):
                said = self.plan(tenants, code=code, **more)
                for part in parts:
                    self.assertIn(part, said)

    def test_the_nearest_limit_can_be_kept(self):
        """(rate, more of the tenant, limit that cannot be kept): what is advised is planned."""
        for rate, more, limit in (("5/s", {}, "20ms"), ("5/s", {}, "70ms"), ("900/s", {}, "60ms"),
                                  ("40/s", {"survive": True}, "51ms"), ("1/s", {"replicas": 3}, "40ms")):
            with self.subTest(rate=rate, limit=limit):
                said = self.plan([tenant("t", rate=rate, sla=f"p99 <= {limit}", **more)], code=2)
                self.assertIn(":sla", said)
                nearest = re.search(r"at its rate is (p99 <= .*), on p/", said).group(1)
                found = self.plan([tenant("t", rate=rate, sla=nearest, **more)])
                self.check(found, ["t"])

    def test_the_bound_of_any_split(self):
        """Three tenants that fill a large machine each; cut at will, small ones do it for less."""
        self.prices = [price("small", 3, 16, 0.1494, None), price("large", 8, 16, 0.40, None)]
        self.profiles = [profile("a", cv=0, error="0%")]
        x = math.log(100) / (0.3 - 0.05)
        load = math.expm1(x * 0.05) / x  # lanes that one request per second takes
        rate = f"{7.99 / load:.4f}/s"
        found = self.plan([tenant("t", count=3, rate=rate)])
        self.assertAlmostEqual(found["any_split_bound_usd_per_hour"], 3 * 7.99 * 0.1494 / 3, places=4)

    def test_bad_prices(self):
        for usd in (0, -1):
            self.prices[0]["on_demand_usd_per_hour"] = usd
            self.assertIn("prices.yaml:", self.plan([tenant("t")], code=2))

    def test_over_twelve_parts_not_every_plan(self):
        said = self.plan([tenant("t", count=13)], "--method", "exhaustive", code=2)
        self.assertIn("at most 12 parts", said)

    def test_examples(self):
        for path in sorted((SOURCE / "examples/plan").glob("*.yaml")):
            if "tenants:" in path.read_text():
                done = run("plan", path, "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertLessEqual(json.loads(done.stdout)["gap"], 0.02)


if __name__ == "__main__":
    unittest.main()
