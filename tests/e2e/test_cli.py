"""The program's frame: help, exit codes, suggestions, the man page."""
# timeout: 60
import os
import shutil
import subprocess
import unittest

PERSEUS = os.environ["PERSEUS"]


def perseus(*args, columns=80):
    env = dict(os.environ, COLUMNS=str(columns))
    return subprocess.run([PERSEUS, *args], capture_output=True, text=True, env=env,
                          stdin=subprocess.DEVNULL)


def commands():
    text = perseus("--help").stdout
    part = text.split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in part.splitlines() if line.startswith("  ") and line[2] != " "]


def with_verbs():
    for name in commands():
        text = perseus(name, "--help").stdout
        if "\nVerbs:\n" in text:
            part = text.split("Verbs:\n")[1].split("\n\n")[0]
            for line in part.splitlines():
                if line[2] != " ":
                    yield (name, line.split()[0])
        else:
            yield (name,)


class Help(unittest.TestCase):
    def test_every_command_explains_itself(self):
        self.assertIn("report", commands())
        for command in with_verbs():
            for words in ([*command, "--help"], [*command, "-h"], ["help", *command]):
                done = perseus(*words)
                self.assertEqual((done.returncode, done.stderr), (0, ""), words)
                self.assertTrue(done.stdout.startswith("Usage: perseus " + " ".join(command)), words)

    def test_lines_fit_the_window(self):
        pages = [["--help"]] + [["help", *c] for c in with_verbs()]
        for columns in (40, 80):
            for page in pages:
                text = perseus(*page, columns=columns).stdout
                # examples are commands to copy: they are not broken, nor are single long words
                text = text.split("\nExamples:\n")[0]
                for line in text.splitlines():
                    if len(line.split()) > 1:
                        self.assertLessEqual(len(line), columns, (page, line))

    def test_version(self):
        for flag in ("--version", "-V"):
            self.assertRegex(perseus(flag).stdout, r"^perseus \d+\.\d+\.\d+ \(\S+\)\n$")


class Mistakes(unittest.TestCase):
    def test_usage(self):
        table = (
            ((), "a command is missing", "perseus --help lists the commands"),
            (("reprot",), "unknown command 'reprot'", "did you mean report?"),
            (("hlep",), "unknown command 'hlep'", "did you mean help?"),
            (("xyzzy",), "unknown command 'xyzzy'", "perseus --help lists the commands"),
            (("help", "zoo", "lst"), "zoo has no verb 'lst'", ""),
            (("zoo",), "a verb is missing", "perseus zoo --help lists the verbs"),
            (("report",), "RESULTS.DB: missing", "perseus report --help lists the options"),
            (("report", "x", "--jsn"), "--jsn: unknown option", "did you mean --json?"),
            (("report", "x", "y"), "unexpected argument 'y'", "perseus report --help"),
            (("report", "x", "--campaign", "0"), "--campaign: '0' is out of range: at least 1", ""),
        )
        for args, what, hint in table:
            done = perseus(*args)
            self.assertEqual(done.returncode, 64, args)
            self.assertEqual(done.stdout, "")
            self.assertIn(what, done.stderr)
            self.assertIn(hint, done.stderr)

    def test_exit_codes(self):
        self.assertEqual(perseus("report", "/nonexistent/results.db").returncode, 4)
        if os.path.exists("/dev/full"):
            with open("/dev/full", "w") as full:
                done = subprocess.run([PERSEUS, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(done.returncode, 9)
            self.assertIn("cannot write to standard output", done.stderr)


class Man(unittest.TestCase):
    def test_page_holds_every_option_and_exit_code(self):
        page = perseus("help", "--man").stdout
        self.assertTrue(page.startswith(".TH PERSEUS 1"))
        for command in with_verbs():
            self.assertIn(".SS perseus " + " ".join(command).replace("-", "\\-"), page)
            for line in perseus(*command, "--help").stdout.splitlines():
                for word in line.split():
                    if word.startswith("--") and line.startswith("  -") and word != "--help":
                        self.assertIn(word.replace("-", "\\-"), page)
        self.assertIn(".TP\n64\n", page)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_page_is_clean_roff(self):
        page = perseus("help", "--man").stdout
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
        self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
