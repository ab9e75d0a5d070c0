# SPDX-License-Identifier: GPL-2.0
# Proves: unsafe code is only in rust_binder/sys/, each piece with its SAFETY comment
"""The compiler refuses unsafe code outside sys/ as well (deny(unsafe_code)); this also sees what no
configuration compiles, and who lifts that rule."""

import re

import tree

USE = re.compile(r"\bunsafe\b(?!\s*_)")


def problems_of(path):
    code, comments = tree.split_rust(tree.read(path))
    lines, said = code.splitlines(), comments.splitlines()
    inside = path.startswith("rust_binder/sys/")
    for number, line in enumerate(lines):
        if re.search(r"allow\(.*\bunsafe_code\b", line) and not inside and path != "rust_binder/main.rs":
            yield f"{path}:{number + 1}: lifts the rule against unsafe code"
        for found in USE.finditer(line):
            if not inside:
                yield f"{path}:{number + 1}: unsafe outside rust_binder/sys/"
                continue
            after = (line[found.end():] + " " + " ".join(lines[number + 1:number + 2])).strip()
            # Functions and traits are for clippy, which knows whose contract they have.
            if re.match(r"\{|impl\b", after) and not explained(lines, said, number):
                yield f"{path}:{number + 1}: unsafe without a SAFETY comment"
    if path == "rust_binder/main.rs" and not re.search(r"#!\[deny\([^)]*\bunsafe_code\b", code):
        yield f"{path}: the crate does not deny unsafe_code"


def explained(lines, said, number):
    """The comment stands on the line, or above the statement or item that the line is in."""
    for above in range(number, -1, -1):
        if "SAFETY:" in said[above]:
            return True
        text = lines[above].strip()
        if above < number and text.endswith((";", "}", "{")):
            return False  # the statement begins below this line
    return False


if __name__ == "__main__":
    tree.report([problem for path in tree.files(".rs", below="rust_binder") for problem in problems_of(path)])
