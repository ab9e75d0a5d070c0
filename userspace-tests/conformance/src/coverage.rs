// SPDX-License-Identifier: GPL-2.0

//! What the suite reaches: of the ABI, measured; of the requirements, as its cases
//! say; of the listed differences, as its cases assert.
//!
//! * [`points`] names what can be reached.
//! * [`matrix`] counts it over a run.
//! * [`reached`] compares that with what is committed, [`rows`] and [`differences`]
//!   do so with the lists written by hand.

pub mod differences;
pub mod matrix;
pub mod points;
pub mod reached;
pub mod rows;

use anyhow::Result;
use differences::Entry;
use harness::Case;
use reached::Lists;
use rows::Rows;
use std::collections::BTreeSet;

/// What is committed beside the cases.
pub struct Committed {
    /// Points of the ABI.
    pub lists: Lists,
    /// Rows of requirements.
    pub rows: Rows,
    /// Listed differences.
    pub differences: Vec<Entry>,
}

impl Committed {
    /// As it was when this was built.
    pub fn read() -> Result<Self> {
        Ok(Self {
            lists: Lists::committed()?,
            rows: Rows::committed()?,
            differences: differences::committed(),
        })
    }

    /// Where it does not fit together, or to the cases.
    pub fn problems(&self, cases: &[Case]) -> Vec<String> {
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
        let suites = include_str!("../../../qemu-images/suites").lines();
        let suites: Vec<&str> = suites.filter_map(|line| line.split(' ').next()).collect();
        let mut problems = self.lists.problems(&names);
        problems.extend(self.rows.problems(cases));
        problems.extend(differences::problems(&self.differences, &names, &suites));
        problems
    }

    /// What still has neither a case nor a reason.
    pub fn open(&self, cases: &[Case]) -> Vec<String> {
        let mut open = self.lists.open();
        let rows = self.rows.uncovered(cases).into_iter();
        open.extend(rows.map(|row| format!("{}: {}", row.name, row.claim)));
        open.extend(differences::open(&self.differences));
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;

    #[test]
    fn what_is_committed_fits_together() {
        let (committed, cases) = (Committed::read().unwrap(), cases::all());
        assert_eq!(committed.problems(&cases), Vec::<String>::new());
        assert_eq!(
            committed.open(&cases),
            Vec::<String>::new(),
            "these have neither a case nor a reason"
        );
    }
}
