# SPDX-License-Identifier: GPL-2.0
# Proves: every deliberate breakage still fits the driver, breaks a row of requirements and names cases
import os
import sys

import tree

sys.path.append(os.path.join(tree.TOP, "qemu-images/runner"))
import mutation  # noqa: E402

FEWEST = 40


def problems():
    try:
        mutants = mutation.load()
    except mutation.DefinitionError as error:
        return [str(error)]
    found = list(mutation.problems_of(mutants))
    if len(mutants) < FEWEST:
        found.append(f"{len(mutants)} mutants; there have been more than {FEWEST}")
    return found


if __name__ == "__main__":
    tree.report(problems())
