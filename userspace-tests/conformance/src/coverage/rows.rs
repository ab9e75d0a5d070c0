// SPDX-License-Identifier: GPL-2.0

//! The rows of requirements, and which cases cover them.

use anyhow::{Context, Result, bail};
use harness::Case;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// One row.
pub struct Row {
    /// Its section.
    pub section: String,
    /// What cases call it.
    pub name: String,
    /// What must hold.
    pub claim: String,
    /// Why there is no case.
    pub without_case: Option<String>,
}

/// A section, in the order of the file.
pub struct Section {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
}

/// All of them.
pub struct Rows {
    /// In order.
    pub sections: Vec<Section>,
    /// In order.
    pub rows: Vec<Row>,
    /// Reasons for rows that are not there.
    strays: Vec<String>,
}

fn texts(table: &Table, name: &str) -> Result<Vec<(String, String)>> {
    let Some(Value::Table(table)) = table.get(name) else {
        bail!("no table {name}");
    };
    table
        .iter()
        .map(|(key, value)| {
            let text = value.as_str().with_context(|| format!("{name}.{key}"))?;
            Ok((key.clone(), text.to_string()))
        })
        .collect()
}

impl Rows {
    /// As committed when this was built.
    pub fn committed() -> Result<Self> {
        Self::parse(include_str!("../../coverage/rows.toml")).context("coverage/rows.toml")
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text)?;
        let mut reasons: BTreeMap<String, String> =
            texts(&table, "without-case")?.into_iter().collect();
        let (mut sections, mut rows) = (Vec::new(), Vec::new());
        for (section, title) in texts(&table, "sections")? {
            for (key, claim) in texts(&table, &section)? {
                // As the world calls them.
                let joint = if section == "CVE" { '-' } else { '.' };
                let name = format!("{section}{joint}{key}");
                rows.push(Row {
                    section: section.clone(),
                    without_case: reasons.remove(&name),
                    name,
                    claim,
                });
            }
            sections.push(Section {
                name: section,
                title,
            });
        }
        Ok(Self {
            sections,
            rows,
            strays: reasons.into_keys().collect(),
        })
    }

    /// What is wrong with the list and with what cases say of it.
    pub fn problems(&self, cases: &[Case]) -> Vec<String> {
        let mut problems = Vec::new();
        for name in &self.strays {
            problems.push(format!("{name}: without case, but there is no such row"));
        }
        for case in cases {
            for row in case.rows {
                if !self.rows.iter().any(|each| each.name == *row) {
                    problems.push(format!("{} covers {row}, which is no row", case.name));
                }
            }
        }
        for row in &self.rows {
            let covering = self.covering(row, cases);
            match (&row.without_case, covering.first()) {
                (Some(_), Some(case)) => problems.push(format!(
                    "{}: said to be without case, but {case} covers it",
                    row.name
                )),
                (Some(reason), None) if reason.trim().len() < 20 => {
                    problems.push(format!("{}: without case and without reason", row.name));
                }
                _ => {}
            }
        }
        problems
    }

    /// Rows that have neither a case nor a reason.
    pub fn uncovered(&self, cases: &[Case]) -> Vec<&Row> {
        let open = |row: &&Row| row.without_case.is_none() && self.covering(row, cases).is_empty();
        self.rows.iter().filter(open).collect()
    }

    /// The cases that cover a row.
    pub fn covering(&self, row: &Row, cases: &[Case]) -> Vec<&'static str> {
        let covers = |case: &&Case| case.rows.contains(&row.name.as_str());
        cases.iter().filter(covers).map(|case| case.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "
        [sections]
        A1 = 'one'
        CVE = 'two'
        [A1]
        10 = 'ten'
        2 = 'two'
        [CVE]
        2000-1 = 'old'
        [without-case]
        'A1.2' = 'because it cannot be reached'
        'A1.3' = 'because it is not there at all'
    ";

    fn case(rows: &'static [&'static str]) -> Case {
        Case::new("a1/case", "a claim", |_| Ok(())).covers(rows)
    }

    #[test]
    fn rows_keep_their_order_and_know_their_cases() {
        let rows = Rows::parse(LIST).unwrap();
        let names: Vec<&str> = rows.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["A1.10", "A1.2", "CVE-2000-1"]);
        let open = |cases: &[Case]| -> Vec<String> {
            let rows = rows.uncovered(cases);
            rows.into_iter().map(|row| row.name.clone()).collect()
        };
        assert_eq!(open(&[]), ["A1.10", "CVE-2000-1"]);
        assert_eq!(open(&[case(&["CVE-2000-1"])]), ["A1.10"]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let rows = Rows::parse(LIST).unwrap();
        assert_eq!(rows.problems(&[]).len(), 1, "the stray reason");
        assert_eq!(
            rows.problems(&[case(&["A1.2"])]).len(),
            2,
            "covered after all"
        );
        assert_eq!(rows.problems(&[case(&["A9.9"])]).len(), 2, "no such row");
    }
}
