# SPDX-License-Identifier: GPL-2.0
"""Deliberate breakages of the driver: their definitions, and the one module that has them all.

A build takes a minute, a trial seconds. So there is one module, in which each function that a breakage
changes has its body several times over: as it is, and as each breakage would have it. The parameter
`mutant` says at load time which breakage is in force; 0 is none.
"""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.append(os.path.join(TOP, "qemu-images/checks"))
import tree  # noqa: E402  (it knows strings and comments of Rust)

DEFINITIONS = os.path.join(TOP, "qemu-images/mutants")
CONFORMANCE = os.path.join(TOP, "userspace-tests/conformance")
FOLDER = os.path.join(TOP, "build/mutants")
# What the module's entry needs for the choice.
PARAMETER = (
    (
        '    license: "GPL",\n}\n',
        '    license: "GPL",\n    params: {\n        mutant: u32 { default: 0, description: "Which breakage is in force", },\n    },\n}\n'
        '\npub(crate) fn mutant() -> u32 {\n    module_parameters::mutant.value()\n}\n',
    ),
)
# What the module is made of.
SOURCES = ("Kbuild", "rust_binder")


class DefinitionError(Exception):
    """A definition that does not fit the driver, or says too little."""


@dataclass(frozen=True)
class Mutant:
    """A breakage. Without an edit it is the driver as it is, by which the suite is checked."""

    name: str
    group: str  # the file of its definition
    rule: str
    edits: tuple  # of (file, text, replacement)
    cases: tuple  # that are expected to notice

    def changes(self, read):
        """[(file, start, end, replacement)] of what is different, given a function that reads a file."""
        found = []
        for path, text, replacement in self.edits:
            source = read(path)
            if (count := source.count(text)) != 1:
                raise DefinitionError(f"{self.name}: the text to replace is {count} times in {path}:\n{text}")
            same = len(os.path.commonprefix([text, replacement]))
            left = len(os.path.commonprefix([text[same:][::-1], replacement[same:][::-1]]))
            start = source.index(text) + same
            found.append((path, start, start + len(text) - same - left, replacement[same:len(replacement) - left]))
        return found


PLAIN = Mutant("unbroken", "", "", (), ())


def read_source(path):
    try:
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError as error:
        raise DefinitionError(f"there is no {path}") from error


def _mutant(entry, group):
    try:
        edits = tuple((edit["file"], edit["find"], edit["replace"]) for edit in entry.get("edit", [entry]))
        mutant = Mutant(entry["name"], group, entry["rule"], edits, tuple(entry["noticed-by"]))
    except KeyError as error:
        raise DefinitionError(f"{group}: {entry.get('name', 'a mutant')} has no {error}") from error
    if not mutant.cases or any(text == replacement for _, text, replacement in edits):
        raise DefinitionError(f"{group}: {mutant.name} changes nothing, or names no case")
    return mutant


def _rows():
    """The rows of requirements, as rules name them."""
    with open(os.path.join(CONFORMANCE, "coverage/rows.toml"), "rb") as file:
        table = tomllib.load(file)
    return {f"{section}-{row}" if section == "CVE" else f"{section}.{row}" for section in table["sections"] for row in table[section]}


def _cases():
    """The names that stand in the sources of the suite."""
    found = set()
    for folder, _, names in os.walk(os.path.join(CONFORMANCE, "src/cases")):
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                found.update(re.findall(r'"((?:a\d+|cve)/[\w-]+)"', file.read()))
    return found


def problems_of(mutants):
    """What is wrong with the definitions, in words: of texts, rows and cases that are no more."""
    rows, cases, names = _rows(), _cases(), set()
    for mutant in mutants:
        if mutant.name in names or mutant.name == PLAIN.name:
            yield f"{mutant.name} is there twice"
        names.add(mutant.name)
        if mutant.rule not in rows:
            yield f"{mutant.name}: there is no row {mutant.rule} of requirements"
        for case in mutant.cases:
            if case not in cases:
                yield f"{mutant.name}: there is no case {case}"
    misfits = []
    for mutant in mutants:
        try:
            mutant.changes(read_source)
        except DefinitionError as error:
            misfits.append(str(error))
    if not misfits:
        try:
            with_all(mutants, read_source)
        except DefinitionError as error:
            misfits.append(str(error))
    yield from misfits


def load():
    """The mutants of all files, not yet compared with the driver."""
    mutants = []
    for name in sorted(os.listdir(DEFINITIONS)):
        if name.endswith(".toml"):
            with open(os.path.join(DEFINITIONS, name), "rb") as file:
                mutants += [_mutant(entry, name[:-5]) for entry in tomllib.load(file)["mutant"]]
    return mutants


def _files():
    for source in SOURCES:
        path = os.path.join(TOP, source)
        if os.path.isfile(path):
            yield source
        for folder, _, names in sorted(os.walk(path)):
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), TOP)


def bodies_of(source):
    """[(start of the signature, start of the body, end)] of the functions that are in no other."""
    code, _ = tree.split_rust(source)
    found, place = [], 0
    while match := re.compile(r"\bfn\s+\w+").search(code, place):
        place, depth = match.end(), 0
        while depth or code[place] not in "{;":
            depth += (code[place] in "([") - (code[place] in ")]")
            place += 1
        if code[place] == ";":
            continue
        begin, depth = place, 1
        while depth:
            place += 1
            depth += (code[place] == "{") - (code[place] == "}")
        place += 1
        found.append((match.start(), begin, place))
    return found


def with_all(mutants, read):
    """{file: text} of what is different in the module that has all mutants, numbered from one."""
    changes = defaultdict(lambda: defaultdict(list))  # file -> (body, number) -> [(start, end, replacement)]
    bodies = {}
    for number, mutant in enumerate(mutants, 1):
        for path, start, end, replacement in mutant.changes(read):
            if path not in bodies:
                bodies[path] = bodies_of(read(path))
            body = next((body for body in bodies[path] if body[1] < start and end < body[2]), None)
            if body is None:
                raise DefinitionError(f"{mutant.name}: what it changes in {path} is in no function")
            changes[path][body, number].append((start, end, replacement))
    # Which one it is, is known when the module is loaded.
    return {path: with_arms(read(path), arms, keep_const=False) for path, arms in changes.items()}


def with_arms(source, changes, keep_const):
    """The text of a file whose functions choose between bodies, given {(body, number): edits}."""
    arms = defaultdict(str)
    for (body, number), edits in changes.items():
        _, begin, end = body
        text = source[begin:end]
        for start, stop, replacement in sorted(edits, reverse=True):
            text = text[:start - begin] + replacement + text[stop - begin:]
        arms[body] += f"{number} => {text} // {number} ends\n"
    for body in sorted(arms, reverse=True):
        sign, begin, end = body
        chosen = f"{{ match crate::mutant() {{\n{arms[body]}_ => {source[begin:end]}\n}} }}"
        before = source[:sign] if keep_const else re.sub(r"\bconst $", "", source[:sign])
        source = before + source[sign:begin] + chosen + source[end:]
    return source


class Workshop:
    """Makes the module. It is known by its sources and its kernel."""

    def __init__(self, kernel_folder, mutants):
        self.build = os.path.join(kernel_folder, "build")
        self.mutants = mutants
        self.numbers = {mutant.name: number for number, mutant in enumerate(mutants, 1)}
        self.sources = {path: read_source(path) for path in _files()}
        read = self.sources.__getitem__
        self.changed = {**self.sources, **with_all(mutants, read)}
        main = self.changed["rust_binder/main.rs"]
        for text, replacement in PARAMETER:
            if main.count(text) != 1:
                raise DefinitionError(f"rust_binder/main.rs: no place for the parameter: {text}")
            main = main.replace(text, replacement)
        self.changed["rust_binder/main.rs"] = main
        self.module = os.path.join(FOLDER, f"{self._digest(self.changed)}.ko")

    def _digest(self, sources):
        digest = hashlib.sha256(self.build.encode())
        for path, text in sorted(sources.items()):
            digest.update(f"\0{path}\0{text}".encode())
        return digest.hexdigest()[:24]

    def key(self, mutant):
        """Identifies the driver with this breakage, whichever others the module has."""
        return self._digest({**self.sources, "": repr(mutant.edits)})

    def number(self, mutant):
        return self.numbers.get(mutant.name, 0)

    def make(self):
        """Makes the module if it is not there; returns what the compiler said if it fails."""
        if os.path.exists(self.module):
            return None
        tree_of_all, output = os.path.join(FOLDER, "tree"), os.path.join(FOLDER, "output")
        self._lay_out(tree_of_all)
        os.makedirs(output, exist_ok=True)
        # Nobody will look at what debuggers need.
        run = subprocess.run(
            ["make", "-C", self.build, f"M={tree_of_all}", f"MO={output}", "--no-print-directory",
             "KRUSTFLAGS=-Cdebuginfo=0 -Awarnings", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        )
        if run.returncode:
            return run.stdout
        for name in os.listdir(FOLDER):
            if name.endswith(".ko"):
                os.remove(os.path.join(FOLDER, name))
        new = os.path.join(FOLDER, "new")
        subprocess.run(["strip", "--strip-debug", "-o", new, os.path.join(output, "rust_binder.ko")], check=True)
        os.replace(new, self.module)
        return None

    def _lay_out(self, top):
        """Writes what is different, so that make rebuilds what it must and nothing else."""
        for path, text in self.changed.items():
            place = os.path.join(top, path)
            try:
                with open(place, encoding="utf-8") as file:
                    if file.read() == text:
                        continue
            except FileNotFoundError:
                os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(text)
        for folder, _, names in os.walk(top):
            for name in names:
                if os.path.relpath(os.path.join(folder, name), top) not in self.changed:
                    os.remove(os.path.join(folder, name))


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:24]
