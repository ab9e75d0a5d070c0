# SPDX-License-Identifier: GPL-2.0
# Proves: rooms call downwards only: no circle of imports between them
"""Reads which room of rust_binder/ names which other by `crate::room`, and looks for circles."""

import os
import re

import tree

NAMED = re.compile(r"\bcrate::(\{|\w+)")


def rooms():
    base = os.path.join(tree.TOP, "rust_binder")
    return {entry for entry in os.listdir(base) if os.path.isdir(os.path.join(base, entry))}


def top_names(code, start):
    """The first name of each path in the group of imports that opens before `start`."""
    names, depth, fresh = [], 1, True
    for token in re.finditer(r"[{},]|\w+", code[start:]):
        text = token[0]
        depth += (text == "{") - (text == "}")
        if depth == 0:
            break
        if text in "{},":
            fresh = depth == 1
        elif depth == 1 and fresh:
            names.append(text)
            fresh = False
    return names


def imports():
    """room -> {other room: first place that names it}"""
    known = rooms()
    found = {room: {} for room in known}
    for path in tree.files(".rs", below="rust_binder"):
        parts = path.split("/")
        if len(parts) < 3:
            continue
        code, _ = tree.split_rust(tree.read(path))
        for match in NAMED.finditer(code):
            names = top_names(code, match.end()) if match[1] == "{" else [match[1]]
            for name in names:
                if name in known and name != parts[1]:
                    line = code.count("\n", 0, match.start()) + 1
                    found[parts[1]].setdefault(name, f"{path}:{line}")
    return found


def circles(graph):
    """Each circle once, as the list of rooms along it."""
    seen = set()

    def walk(room, trail):
        if room in trail:
            circle = trail[trail.index(room):]
            key = frozenset(circle)
            if key not in seen:
                seen.add(key)
                yield circle
            return
        for other in sorted(graph[room]):
            yield from walk(other, trail + [room])

    for room in sorted(graph):
        yield from walk(room, [])


if __name__ == "__main__":
    graph = imports()
    tree.report([
        "circle: " + " → ".join(circle + circle[:1]) + "  ("
        + ", ".join(graph[one][two] for one, two in zip(circle, circle[1:] + circle[:1])) + ")"
        for circle in circles(graph)
    ])
