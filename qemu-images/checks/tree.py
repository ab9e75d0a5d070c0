# SPDX-License-Identifier: GPL-2.0
"""What the checks that read sources share: the list of files, and Rust with comments set apart."""

import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*suffixes, below=""):
    """Paths, from the top, of the project's text files: what git knows or would take."""
    listed = subprocess.run(
        ["git", "-C", TOP, "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", below or "."],
        check=True, capture_output=True, text=True,
    ).stdout.split("\0")
    return sorted(
        path for path in set(listed)
        if path and os.path.isfile(os.path.join(TOP, path)) and (not suffixes or path.endswith(suffixes))
    )


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def split_rust(text):
    """(code, comments), both with the line breaks of `text`: strings are blanked in the code."""
    code, comments = [], []
    place, end = 0, len(text)

    def put(piece, to_code):
        blank = "".join(c if c == "\n" else " " for c in piece)
        code.append(piece if to_code else blank)
        comments.append(blank)

    while place < end:
        start = place
        if text.startswith("//", place):
            place = text.find("\n", place)
            place = end if place < 0 else place
            comments.append(text[start:place])
            code.append(" " * (place - start))
        elif text.startswith("/*", place):
            depth = 0
            while place < end:
                if text.startswith("/*", place):
                    depth, place = depth + 1, place + 2
                elif text.startswith("*/", place):
                    depth, place = depth - 1, place + 2
                    if depth == 0:
                        break
                else:
                    place += 1
            comments.append(text[start:place])
            code.append("".join(c if c == "\n" else " " for c in text[start:place]))
        elif (raw := _raw_string(text, place)) is not None:
            put(text[start:raw], False)
            place = raw
        elif text[place] == '"':
            place += 1
            while place < end and text[place] != '"':
                place += 2 if text[place] == "\\" else 1
            place += 1
            put(text[start:place], False)
        elif text[place] == "'" and (text[place + 1:place + 2] == "\\" or text[place + 2:place + 3] == "'"):
            place = text.find("'", place + (3 if text[place + 1] == "\\" else 2)) + 1
            put(text[start:place], False)
        else:
            place += 1
            put(text[start:place], True)
    return "".join(code), "".join(comments)


def _raw_string(text, place):
    """End of the raw string that starts here, if one does."""
    rest = place
    if text[rest] in "bc":
        rest += 1
    if text[rest:rest + 1] != "r" or (place and (text[place - 1].isalnum() or text[place - 1] == "_")):
        return None
    rest += 1
    hashes = 0
    while text[rest:rest + 1] == "#":
        rest, hashes = rest + 1, hashes + 1
    if text[rest:rest + 1] != '"':
        return None
    found = text.find('"' + "#" * hashes, rest + 1)
    return len(text) if found < 0 else found + 1 + hashes


def report(problems):
    """Ends the check."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
