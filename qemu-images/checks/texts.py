# SPDX-License-Identifier: GPL-2.0
# Proves: each file has its SPDX line, at most 500 lines, no registry host, no machine's path
"""Rules for every text file of the project."""

import re

import tree

MOST_LINES = 500
# Not sources of the project's own: locked dependencies, the licence itself, files without comments.
WITHOUT_LICENCE_LINE = re.compile(r"(^LICENSE|\.lock|\.json|\.svg|\.png|\.proptest-regressions|/proptest-regressions/.*)$")
HOSTS = re.compile(
    r"[a-z0-9-]+\.(debian|ubuntu|crates|pypi|npmjs|pythonhosted|rust-lang)\.(org|io|com|net)|\b(crates|pypi)\.(io|org)", re.I)
PATHS = re.compile(r"/(work|root|farm|home)/[a-z.]")
LEFT_OVERS = re.compile(r"\btodo!\s*\(|\bunimplemented!\s*\(|\b(FIXME|XXX)\b")


def problems_of(path):
    try:
        text = tree.read(path)
    except UnicodeDecodeError:
        return
    lines = text.splitlines()
    if not WITHOUT_LICENCE_LINE.search(path):
        if not any("SPDX-License-Identifier: GPL-2.0" in line for line in lines[:3]):
            yield f"{path}: no SPDX-License-Identifier line at the top"
        if len(lines) > MOST_LINES and not path.startswith("Documentation/"):
            yield f"{path}: {len(lines)} lines, {MOST_LINES} are the most"
        if text and not text.endswith("\n"):
            yield f"{path}: no line break at the end"
    if path.endswith("checks/texts.py"):
        return  # it holds the patterns
    for number, line in enumerate(lines, 1):
        if not path.endswith(".lock") and HOSTS.search(line):
            yield f"{path}:{number}: names a registry's host"
        if PATHS.search(line):
            yield f"{path}:{number}: an absolute path of a machine"
        if path.endswith((".rs", ".c", ".h", ".py", ".sh")) and LEFT_OVERS.search(line):
            yield f"{path}:{number}: left over: {line.strip()}"
        if line != line.rstrip() and not path.endswith((".md", ".svg")) and path != "LICENSE":
            yield f"{path}:{number}: white space at the end of the line"


if __name__ == "__main__":
    tree.report([problem for path in tree.files() for problem in problems_of(path)])
