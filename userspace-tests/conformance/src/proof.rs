// SPDX-License-Identifier: GPL-2.0

//! What a run of the whole suite proves: how much of the ABI and of the requirements
//! it reaches, and where the drivers differ.

use crate::Device;
use crate::coverage::Committed;
use crate::coverage::differences::{self, Entry};
use crate::coverage::matrix::Matrix;
use crate::coverage::points::{CONSTANTS, Class};
use crate::coverage::reached::Lists;
use crate::coverage::rows::Rows;
use crate::runner::{CaseResult, passed};
use anyhow::Result;
use comfy_table::{Table, presets};
use harness::Case;
use std::path::Path;

/// Prints all of it; true if nothing is left to complain of.
pub fn print(devices: &[Device], results: &[CaseResult], update: Option<&Path>) -> Result<bool> {
    let committed = Committed::read()?;
    let lists = &committed.lists;
    let matrix = Matrix::new(results, devices.len());
    let cases: Vec<Case> = results.iter().map(|result| result.case).collect();

    print_matrix(devices, &matrix, lists);
    print_sections(devices, results, &committed.rows, &cases);
    let mut complaints = committed.problems(&cases);
    match update {
        Some(path) => lists.update(&matrix, path)?,
        None => complaints.extend(lists.contradictions(&matrix)),
    }
    let differences = judge(results, &committed.differences, &mut complaints);
    let open = committed.open(&cases);
    if !open.is_empty() {
        println!("\nWithout a case:");
        open.iter().for_each(|line| println!("  {line}"));
    }
    if !complaints.is_empty() {
        println!("\nThe committed lists say otherwise:");
        complaints
            .iter()
            .for_each(|complaint| println!("  {complaint}"));
    }
    println!("\n{} cases, {differences} differences", results.len());
    Ok(differences == 0 && complaints.is_empty() && open.is_empty())
}

fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

/// One table per kind: constants first in the order of the header, whether reached
/// or not, then what else was seen.
fn print_matrix(devices: &[Device], matrix: &Matrix<'_>, lists: &Lists) {
    for class in Class::ALL {
        let labels = devices.iter().map(|device| device.label.as_str());
        let mut table = table([class.title(), "cases"].into_iter().chain(labels));
        let constants = CONSTANTS.iter().filter(|constant| constant.class == class);
        let mut names: Vec<&str> = constants.map(|constant| constant.name.as_str()).collect();
        for point in matrix.of_class(class) {
            if !names.contains(&point.name.as_str()) {
                names.push(&point.name);
            }
        }
        let mut reasons = Vec::new();
        for name in names {
            let count = matrix.cases(class, name).len();
            let mut cells = vec![name.to_string(), count.to_string()];
            for device in 0..matrix.devices() {
                cells.push(match lists.never.get(name) {
                    Some(_) if count == 0 => "never".into(),
                    _ => matrix.verdict(class, name, device),
                });
            }
            table.add_row(cells);
            if let Some(reason) = lists.never.get(name) {
                reasons.push(format!("{name}: {reason}"));
            }
        }
        println!("\n{table}");
        reasons.iter().for_each(|reason| println!("  {reason}"));
    }
    let constant = |name: &str| CONSTANTS.iter().any(|constant| constant.name == name);
    let mut others = lists
        .never
        .iter()
        .filter(|(name, _)| !constant(name))
        .peekable();
    if others.peek().is_some() {
        println!("\nNever seen, and why:");
    }
    others.for_each(|(name, reason)| println!("  {name}: {reason}"));
}

/// The section of a case, as rows call it.
fn section(case: &Case) -> String {
    let name = case.name.split('/').next().unwrap_or_default();
    name.to_uppercase()
}

fn print_sections(devices: &[Device], results: &[CaseResult], rows: &Rows, cases: &[Case]) {
    let labels = devices.iter().map(|device| device.label.as_str());
    let tail = ["rows", "with a case", "with a reason"];
    let mut table = table(
        ["section", "about", "cases"]
            .into_iter()
            .chain(labels)
            .chain(tail),
    );
    for each in &rows.sections {
        let here: Vec<&CaseResult> = results
            .iter()
            .filter(|result| section(&result.case) == each.name)
            .collect();
        let mut cells = vec![
            each.name.clone(),
            each.title.clone(),
            here.len().to_string(),
        ];
        for device in 0..devices.len() {
            let good = here
                .iter()
                .filter(|result| passed(&result.runs[device].report.verdict));
            cells.push(format!("{} ok", good.count()));
        }
        let of_section = || rows.rows.iter().filter(|row| row.section == each.name);
        let covered = of_section().filter(|row| !rows.covering(row, cases).is_empty());
        let excused = of_section().filter(|row| row.without_case.is_some());
        cells.push(of_section().count().to_string());
        cells.push(covered.count().to_string());
        cells.push(excused.count().to_string());
        table.add_row(cells);
    }
    println!("\n{table}");
}

/// Prints listed and unlisted differences and returns the number of the latter.
fn judge(results: &[CaseResult], entries: &[Entry], complaints: &mut Vec<String>) -> usize {
    let mut unlisted = Vec::new();
    println!("\nDifferences that Documentation/differences.md lists and cases assert:");
    for result in results {
        let name = result.case.name;
        let entry = differences::of_case(entries, name);
        match (result.failed(), result.differs(), entry) {
            (true, _, _) => unlisted.push(format!("{name}: {}", result.case.claim)),
            (false, true, Some(entry)) => println!("  {name}: {}", entry.what),
            (false, true, None) => {
                unlisted.push(format!(
                    "{name}: asks which driver it is, and no entry names it"
                ));
            }
            (false, false, Some(entry)) if !result.skipped() => complaints.push(format!(
                "Documentation/differences.md, \"{}\": {name} asserts no difference",
                entry.what
            )),
            (false, false, _) => {}
        }
    }
    if !unlisted.is_empty() {
        println!("\nDifferences:");
        unlisted.iter().for_each(|line| println!("  {line}"));
    }
    unlisted.len()
}
