// SPDX-License-Identifier: GPL-2.0

//! The committed side of the matrix: for each point a case that reaches it, or the
//! reason why none can.
//!
//! `coverage/reached.toml` is written by a run of the whole suite and compared with
//! every later one.  `coverage/never.toml` is written by hand.  Together they have
//! every constant of the ABI, which needs no run to be checked.

use super::matrix::Matrix;
use super::points::{CONSTANTS, Class, position};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

/// How many cases are named for a point, if there are so many.
const NAMED: usize = 2;

const HEAD: &str = "\
# SPDX-License-Identifier: GPL-2.0
#
# What of the ABI the suite reaches, each with cases that reach it on both drivers. Written by
# `make conformance UPDATE=1` from what a run measured; `make conformance` and `make check` compare.
";

/// Both lists.
pub struct Lists {
    /// Point to cases.
    pub reached: BTreeMap<String, Vec<String>>,
    /// Point to reason.
    pub never: BTreeMap<String, String>,
}

impl Lists {
    /// As committed when this was built.
    pub fn committed() -> Result<Self> {
        let reached = include_str!("../../coverage/reached.toml");
        let never = include_str!("../../coverage/never.toml");
        Ok(Self {
            reached: toml::from_str(reached).context("coverage/reached.toml")?,
            never: toml::from_str(never).context("coverage/never.toml")?,
        })
    }

    /// What is wrong with the lists themselves.
    pub fn problems(&self, cases: &BTreeSet<&str>) -> Vec<String> {
        let mut problems = Vec::new();
        for (point, witnesses) in &self.reached {
            if witnesses.is_empty() {
                problems.push(format!("{point}: no case is named"));
            }
            for witness in witnesses
                .iter()
                .filter(|name| !cases.contains(name.as_str()))
            {
                problems.push(format!("{point}: there is no case {witness}"));
            }
            if self.never.contains_key(point) {
                problems.push(format!("{point}: is in reached.toml and in never.toml"));
            }
        }
        for (point, reason) in &self.never {
            if reason.trim().len() < 20 {
                problems.push(format!("{point}: never, without a reason"));
            }
        }
        problems
    }

    /// Constants that neither a case reaches nor a reason excuses.
    pub fn open(&self) -> Vec<String> {
        let names = CONSTANTS.iter().map(|constant| constant.name.as_str());
        names
            .filter(|name| !self.reached.contains_key(*name) && !self.never.contains_key(*name))
            .map(ToString::to_string)
            .collect()
    }

    /// Where a run of the whole suite says otherwise.
    pub fn contradictions(&self, matrix: &Matrix<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        for class in Class::ALL {
            for point in matrix.of_class(class) {
                let name = &point.name;
                if let Some(reason) = self.never.get(name) {
                    let cases = few(&matrix.cases(class, name));
                    problems.push(format!("{name}: {reason}; but: {cases}"));
                }
                // What is reached on one driver only comes of a listed difference.
                let witnesses = matrix.witnesses(name);
                if !witnesses.is_empty()
                    && !self.reached.contains_key(name)
                    && !self.never.contains_key(name)
                {
                    let cases = few(&witnesses);
                    problems.push(format!(
                        "{name}: reached by {cases}, not listed (UPDATE=1 lists it)"
                    ));
                }
            }
        }
        for (point, witnesses) in &self.reached {
            let reached = matrix.witnesses(point);
            for witness in witnesses
                .iter()
                .filter(|name| !reached.contains(&name.as_str()))
            {
                problems.push(format!(
                    "{point}: {witness} does not reach it on every device"
                ));
            }
        }
        problems
    }

    /// The text of `reached.toml` after a run; a point that was reached before and is
    /// not any more is an error.
    pub fn updated(&self, matrix: &Matrix<'_>) -> Result<String> {
        let mut points: Vec<&str> = matrix.names().into_iter().collect();
        points.sort_by_key(|name| (name.contains(' '), position(name), *name));
        let breadths = matrix.breadths();
        let mut text = HEAD.to_string();
        let mut lost: Vec<&str> = self.reached.keys().map(String::as_str).collect();
        for point in points {
            let mut witnesses = matrix.witnesses(point);
            if self.never.contains_key(point) || witnesses.is_empty() {
                continue;
            }
            lost.retain(|name| *name != point);
            let before = self.reached.get(point).map_or(&[][..], Vec::as_slice);
            // Those named before stay where they are, so that the file changes when it must.
            witnesses.sort_by_key(|case| {
                let place = before.iter().position(|name| name == case);
                (place.unwrap_or(usize::MAX), breadths.get(case), *case)
            });
            witnesses.truncate(NAMED);
            let names: Vec<String> = witnesses.iter().map(|case| format!("\"{case}\"")).collect();
            let key = match point.contains(' ') {
                true => format!("\"{point}\""),
                false => point.into(),
            };
            writeln!(text, "{key} = [{}]", names.join(", "))?;
        }
        if !lost.is_empty() {
            bail!("no case reaches any more: {}", lost.join(", "));
        }
        Ok(text)
    }

    /// Writes it.
    pub fn update(&self, matrix: &Matrix<'_>, path: &Path) -> Result<()> {
        std::fs::write(path, self.updated(matrix)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Names the first of them.
fn few(cases: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = cases[..cases.len().min(SHOWN)].join(", ");
    match cases.len().saturating_sub(SHOWN) {
        0 => shown,
        rest => format!("{shown} and {rest} more"),
    }
}
