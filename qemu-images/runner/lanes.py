# SPDX-License-Identifier: GPL-2.0
"""Lanes: which kernel the guest boots, and what that changes. Runs inside the sandbox.

The stock lane has no file; another has qemu-images/lanes/NAME, lines of a word and its value:

    factor N                          how many times slower than stock; time limits are multiplied by it
    memory MB                         of the guest
    append ARGS                       more for the kernel command line
    without SUITE REASON              this suite is not run
    suite NAME PLACE LIMIT COMMAND    this one instead of the suite of that name, or besides the others
"""

import os
from dataclasses import dataclass, field

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "qemu-images/lanes")
STOCK = "stock"


@dataclass
class Lane:
    """What a lane's file says."""

    name: str
    factor: int = 1
    memory: int = 2048
    append: list = field(default_factory=list)
    without: dict = field(default_factory=dict)
    suites: list = field(default_factory=list)

    @property
    def link(self):
        """Where in build/ its modules are."""
        return "current" if self.name == STOCK else self.name


def names():
    return [STOCK] + sorted(name.removesuffix(".config") for name in os.listdir(FOLDER) if name.endswith(".config"))


def chosen():
    """The lane of LANE=."""
    return os.environ.get("LANE") or STOCK


def load(name):
    lane = Lane(name)
    if name == STOCK:
        return lane
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        for line in file:
            word, _, value = line.strip().partition(" ")
            value = value.strip()
            if not word or word.startswith("#"):
                continue
            if word in ("factor", "memory"):
                setattr(lane, word, int(value))
            elif word == "append":
                lane.append.append(value)
            elif word == "without":
                suite, _, reason = value.partition(" ")
                lane.without[suite] = reason.strip()
            elif word == "suite":
                lane.suites.append(value)
            elif word != "compiler":
                raise ValueError(f"lane {name}: what is {word!r}?")
    return lane
