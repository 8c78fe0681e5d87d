"""The statistics behind bench/: intervals, verdicts, order of blocks."""
import math
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "bench"))
from lib import figures  # noqa: E402


class Intervals(unittest.TestCase):
    def test_t_interval_of_logs(self):
        # logs 0.1, 0.2, 0.3, 0.4: mean 0.25, s = 0.129099, t(3) = 3.182, half = 0.205397
        middle, low, high = figures.log_interval([math.exp(x) for x in (0.1, 0.2, 0.3, 0.4)])
        self.assertAlmostEqual(middle, (math.exp(0.2) + math.exp(0.3)) / 2, places=12)
        self.assertAlmostEqual(math.log(low), 0.25 - 0.205397, places=4)
        self.assertAlmostEqual(math.log(high), 0.25 + 0.205397, places=4)

    def test_t_interval_of_a_mean(self):
        mean, low, high = figures.mean_interval([1.0, 2.0, 3.0, 4.0])
        self.assertAlmostEqual(mean, 2.5)
        self.assertAlmostEqual(low, 2.5 - 2.05397, places=4)
        self.assertAlmostEqual(high, 2.5 + 2.05397, places=4)
        self.assertEqual(figures.mean_interval([1.0, 2.0, 3.0])[1:], (None, None))

    def test_under_four_blocks_there_is_none(self):
        self.assertEqual(figures.log_interval([1.0, 1.1, 1.2])[1:], (None, None))

    def test_t_beyond_the_table(self):
        self.assertAlmostEqual(figures.t975(60), 2.000, delta=0.04)
        self.assertAlmostEqual(figures.t975(9), 2.262)


class Verdicts(unittest.TestCase):
    def test_table(self):
        for low, high, goal, want in (
                (0.9, 1.0, {"at_most": 1.05}, "met"),
                (1.06, 1.1, {"at_most": 1.05}, "missed"),
                (1.0, 1.1, {"at_most": 1.05}, "undecided"),
                (None, None, {"at_most": 1.05}, "undecided"),
                (2.1, 2.2, {"at_least": 2}, "met"),
                (1.1, 1.2, {"at_least": 2}, "missed"),
                (1.1, 2.2, {"at_least": 2}, "undecided"),
                (0.995, 1.005, {"within": 0.01}, "met"),
                (1.02, 1.03, {"within": 0.01}, "missed"),
                (0.9, 0.98, {"within": 0.01}, "missed"),
                (1.0, 1.02, {"within": 0.01}, "undecided"),
                (0.9, 1.1, {"within": 0.01}, "undecided"),
                (None, None, {"within": 0.01}, "undecided"),
                (1.0, 1.1, {}, "shown"),
        ):
            self.assertEqual(figures.verdict(low, high, **goal), want)


class Blocks(unittest.TestCase):
    def test_order_alternates_and_pairs_stay_pairs(self):
        order = []

        def ours():
            order.append("A")
            return 2.0 * len(order)

        def peer():
            order.append("B")
            return 1.0 * len(order)

        figures.MAX_STEAL, kept = 1.0, figures.MAX_STEAL
        try:
            r = figures.interleave(ours, peer, 4)
        finally:
            figures.MAX_STEAL = kept
        self.assertEqual("".join(order), "ABBAABBA")
        self.assertEqual(r["ours"], [2, 8, 10, 16])
        self.assertEqual(r["peer"], [2, 3, 6, 7])


if __name__ == "__main__":
    unittest.main()
