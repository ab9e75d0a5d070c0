// SPDX-License-Identifier: GPL-2.0

//! The differences that `Documentation/differences.md` lists, and whether cases
//! assert them.

use std::collections::BTreeSet;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// What differs.
    pub what: String,
    /// Cases that assert it.
    pub cases: Vec<String>,
    /// Suites that show it.
    pub suites: Vec<String>,
}

/// As committed when this was built.
pub fn committed() -> Vec<Entry> {
    parse(include_str!("../../../../Documentation/differences.md"))
}

/// Rows of the tables whose last column is called "case".
fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut listing = false;
    for line in text.lines() {
        let line = line.trim();
        let Some(cells) = line
            .strip_prefix('|')
            .and_then(|rest| rest.strip_suffix('|'))
        else {
            listing = false;
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(str::trim).collect();
        let (Some(what), Some(last)) = (cells.first(), cells.last()) else {
            continue;
        };
        if *last == "case" {
            listing = true;
            continue;
        }
        if !listing || what.starts_with("--") {
            continue;
        }
        // What stands between backticks: every second piece.
        let mut pieces = last.split('`');
        let (mut cases, mut suites) = (Vec::new(), Vec::new());
        while let (Some(before), Some(quoted)) = (pieces.next(), pieces.next()) {
            match before.trim_end().ends_with("suite") {
                true => suites.push(quoted.to_string()),
                false => cases.push(quoted.to_string()),
            }
        }
        entries.push(Entry {
            what: what.to_string(),
            cases,
            suites,
        });
    }
    entries
}

/// What is wrong with the list itself.
pub fn problems(entries: &[Entry], cases: &BTreeSet<&str>, suites: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    for entry in entries {
        let what = &entry.what;
        let no_case = entry
            .cases
            .iter()
            .filter(|name| !cases.contains(name.as_str()));
        problems.extend(no_case.map(|name| format!("\"{what}\": there is no case {name}")));
        let no_suite = entry
            .suites
            .iter()
            .filter(|name| !suites.contains(&name.as_str()));
        problems.extend(no_suite.map(|name| format!("\"{what}\": there is no suite {name}")));
    }
    problems
}

/// Entries that nothing asserts.
pub fn open(entries: &[Entry]) -> Vec<String> {
    let open = |entry: &&Entry| entry.cases.is_empty() && entry.suites.is_empty();
    let open = entries.iter().filter(open);
    open.map(|entry| format!("difference \"{}\"", entry.what))
        .collect()
}

/// The entry that a case asserts.
pub fn of_case<'a>(entries: &'a [Entry], case: &str) -> Option<&'a Entry> {
    entries
        .iter()
        .find(|entry| entry.cases.iter().any(|name| name == case))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_understood() {
        let text = "
            | what | C | case |
            |---|---|---|
            | one thing, `x` | old | `a1/one`, `a1/two` (more) |
            | another | old | suite `stress` |
            | third | old | – |

            | what | answer |
            |---|---|
            | absent | `EINVAL` |
        ";
        let entries = parse(text);
        let entry = |what: &str, cases: &[&str], suites: &[&str]| Entry {
            what: what.into(),
            cases: cases.iter().map(ToString::to_string).collect(),
            suites: suites.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            entries,
            [
                entry("one thing, `x`", &["a1/one", "a1/two"], &[]),
                entry("another", &[], &["stress"]),
                entry("third", &[], &[]),
            ]
        );
        let problems = problems(&entries, &BTreeSet::from(["a1/one"]), &["stress"]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(open(&entries), ["difference \"third\""]);
        assert_eq!(of_case(&entries, "a1/two"), Some(&entries[0]));
    }
}
