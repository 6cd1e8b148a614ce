"""Completion scripts: bash really completes with them; zsh and fish check the syntax where they are installed, and each
script names every command and flag that the help names."""

import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

from cluster import ENVIRONMENT, PATIENCE, main, raftctl

CLUSTER = """format = 1
[cluster]
name = "demo"
[[member]]
id = 1
name = "north"
[[member]]
id = 2
name = "south"
"""


def script(shell):
    return raftctl("completion", shell).stdout


class Bash(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="raftd-e2e-"))
        (cls.folder / "cluster.toml").write_text(CLUSTER)
        (cls.folder / "records one").write_text("")
        (cls.folder / "below").mkdir()
        (cls.folder / "completion").write_text(script("bash"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def complete(self, line, where="."):
        """What is offered for the last word of the line; `=` is a word of its own, as readline splits."""
        words = re.sub("=", " = ", line).split(" ")
        words = [word for i, word in enumerate(words) if word or i == len(words) - 1]
        ask = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _raftctl; '
               'printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", ask, "bash", str(self.folder / "completion"), *words],
                              cwd=self.folder / where, env=ENVIRONMENT, capture_output=True, text=True, check=True,
                              timeout=PATIENCE)
        self.assertEqual(done.stderr, "")
        return sorted(filter(None, done.stdout.splitlines()))

    def test_commands_and_their_parts(self):
        self.assertEqual(self.complete("raftctl sta"), ["start", "status"])
        self.assertIn("append", self.complete("raftctl "))
        self.assertEqual(self.complete("raftctl config "), ["check", "show"])
        self.assertEqual(self.complete("raftctl completion "), ["bash", "fish", "zsh"])
        self.assertEqual(self.complete("raftctl --timeout 3s sta"), ["start", "status"])
        self.assertEqual(self.complete("raftctl --cluster status sta"), ["start", "status"])

    def test_flags(self):
        self.assertEqual(self.complete("raftctl tail --fo"), ["--follow", "--format"])
        self.assertEqual(self.complete("raftctl -q config check --ver"), ["--verbose"])
        self.assertNotIn("--follow", self.complete("raftctl append --f"))

    def test_values(self):
        self.assertEqual(self.complete("raftctl tail --format "), ["length", "lines", "nul", "raw"])
        self.assertEqual(self.complete("raftctl status -o js"), ["json", "jsonl"])
        self.assertEqual(self.complete("raftctl status --output=js"), ["json", "jsonl"])
        self.assertEqual(self.complete("raftctl tail --from "), [])
        self.assertEqual(self.complete("raftctl start --wait no"), ["none"])

    def test_members_and_files(self):
        self.assertEqual(self.complete("raftctl stop "), ["north", "south"])
        self.assertEqual(self.complete("raftctl stop so", "below"), ["south"])
        self.assertEqual(self.complete("raftctl tail --node n"), ["north"])
        self.assertEqual(self.complete("raftctl append --file rec"), ["records one"])
        self.assertEqual(self.complete("raftctl config check clu"), ["cluster.toml"])

    def test_in_a_terminal(self):
        """Typed into an interactive bash: the tab completes the word."""
        process, terminal = pty.fork()
        if process == 0:
            os.chdir(self.folder)
            environment = {**ENVIRONMENT, "PS1": "ready> ", "TERM": "dumb"}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        shown = b""

        def until(wanted):
            nonlocal shown
            end = time.monotonic() + PATIENCE
            while wanted not in shown:
                self.assertLess(time.monotonic(), end, f"{wanted} in {shown}")
                if select.select([terminal], [], [], 1)[0]:
                    shown += os.read(terminal, 4096)

        try:
            until(b"ready> ")
            os.write(terminal, b"source completion; echo sourced $((40 + 2))\n")
            until(b"sourced 42")
            shown = b""
            os.write(terminal, b"raftctl tail --with\t")
            until(b"--with-lsn")
        finally:
            os.close(terminal)
            os.waitpid(process, 0)


class EveryShell(unittest.TestCase):
    def names(self):
        """Commands of `help all`, and flags of each."""
        listed = re.findall(r"^  ([a-z][a-z-]*)\b", raftctl("help", "all").stdout, re.M)
        commands = sorted(set(listed))
        self.assertGreater(len(commands), 12)
        flags = {command: set(re.findall(r"(--[a-z-]+)", raftctl(command, "--help").stdout.split("Options:")[-1]))
                 for command in commands}
        return commands, flags

    def test_each_names_every_command_and_flag(self):
        commands, flags = self.names()
        for shell in ("bash", "zsh", "fish"):
            text = script(shell)
            for command in commands:
                self.assertRegex(text, rf"\b{command}\b", f"{shell}: {command}")
                for flag in flags[command] - {"--help"}:
                    wanted = f"-l {flag[2:]}" if shell == "fish" else flag
                    self.assertIn(wanted, text, f"{shell}: {command} {flag}")

    def test_syntax(self):
        checks = {"bash": ["bash", "-n"], "zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"]}
        checked = []
        for shell, command in checks.items():
            if shutil.which(shell) is None:
                self.check_structure(script(shell), shell)
                continue
            with tempfile.NamedTemporaryFile("w", suffix=f".{shell}") as file:
                file.write(script(shell))
                file.flush()
                subprocess.run([*command, file.name], check=True, timeout=PATIENCE)
            checked.append(shell)
        self.assertIn("bash", checked)

    def check_structure(self, text, shell):
        """Without the shell: quotes and blocks are balanced, line by line."""
        depth = 0
        for number, line in enumerate(text.splitlines(), 1):
            bare = re.sub(r"\\.", "", line) if shell == "fish" else line.replace("'\\''", "")
            self.assertEqual(bare.count("'") % 2, 0, f"{shell}, line {number}: {line}")
            bare = re.sub(r"'[^']*'", "''", bare)
            if shell == "fish":
                depth += len(re.findall(r"^\s*(function|for|while|switch|if)\b", bare)) - len(
                    re.findall(r"^\s*end\b", bare))
            else:
                depth += len(re.findall(r"\b(case|if|do)\b(?= |$)", bare))
                depth -= len(re.findall(r"\b(esac|fi|done)\b", bare))
            self.assertGreaterEqual(depth, 0, f"{shell}, line {number}: {line}")
        self.assertEqual(depth, 0, shell)

    def test_another_shell_is_refused(self):
        done = raftctl("completion", "tcsh", check=2)
        self.assertIn("tcsh", done.stderr)


if __name__ == "__main__":
    main()
