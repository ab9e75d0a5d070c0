# SPDX-License-Identifier: GPL-2.0
"""What in a kernel log condemns a run."""

import re

# Each rule: what it is called, and the pattern that finds it. The first that matches a line names it.
RULES = [
    ("panic", r"Kernel panic - not syncing"),
    ("KASAN", r"BUG: KASAN|BUG: KFENCE|BUG: KCSAN|BUG: KMSAN"),
    ("UBSAN", r"UBSAN: "),
    ("soft or hard lock-up", r"watchdog: BUG: soft lockup|[Hh]ard LOCKUP|Watchdog detected hard"),
    ("oops", r"Oops: |general protection fault|BUG: unable to handle|BUG: kernel NULL|stack segment: |double fault: "),
    ("BUG", r"kernel BUG at |BUG: |\bBUG [\w:.-]+ \("),
    ("lockdep", r"possible circular locking|possible recursive locking|inconsistent lock state|suspicious RCU usage|"
                r"possible irq lock inversion|INFO: lockdep|held lock freed|bad unlock balance|invalid wait context|"
                r"turning off the locking correctness validator|lock held when returning to user space|"
                r"scheduling while atomic|sleeping function called from invalid context"),
    ("WARNING", r"\bWARNING: "),
    ("RCU stall", r"rcu: INFO: .*(stall|self-detected)|rcu_\w+ (kthread starved|detected)"),
    ("hung task", r"INFO: task .* blocked for more than"),
    ("refcount", r"refcount_t: "),
    ("list corruption", r"list_(add|del) corruption"),
    ("debug objects", r"ODEBUG: "),
    ("leak", r"kmemleak: (unreferenced object|\d+ new suspected memory leaks)"),
    ("objects left", r"rust_binder: .* left at unload"),
    ("Rust panic", r"rust_kernel: panicked|rust_panic"),
]
_COMPILED = [(name, re.compile(pattern)) for name, pattern in RULES]


def findings(log, allowed=()):
    """(rule, line) for each line of the log text that a rule condemns and no allowed pattern excuses."""
    excuses = [re.compile(pattern) for pattern in allowed]
    found = []
    for line in log.splitlines():
        for name, pattern in _COMPILED:
            if pattern.search(line):
                if not any(excuse.search(line) for excuse in excuses):
                    found.append((name, line.strip()))
                break
    return found
