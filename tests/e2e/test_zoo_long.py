"""The larger networks of the zoo in the official tools: up to 553 MB each."""
# long
# timeout: 900
# sanitizers: no (checks the files, which the other build writes alike)
import tempfile
import unittest

from support import zoo_check


class Networks(unittest.TestCase):
    def test_larger_networks(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("alexnet", "vgg16", "resnet152", "densenet121",
                         *(cell for cell in zoo_check.CELLS
                           if cell not in ("lstm_256", "gru_512"))):
                with self.subTest(name):
                    zoo_check.check(self, name, folder)


if __name__ == "__main__":
    unittest.main()
