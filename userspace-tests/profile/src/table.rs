// SPDX-License-Identifier: GPL-2.0

//! Profiles for reading: devices side by side.

use std::collections::BTreeMap;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};

use crate::profile::Profile;
use crate::symbols::Group;

/// The width of the names' column.
const NAME_WIDTH: usize = 68;

/// The groups' sums.
pub fn groups(profiles: &[Profile]) -> Table {
    let mut table = new("instructions per round trip", profiles, &[""]);
    for group in Group::ALL {
        let numbers = profiles.iter().map(|profile| profile.group(group));
        table.add_row(row(group.to_string(), numbers.collect()));
    }
    let counted = profiles.iter().map(|profile| profile.counted);
    table.add_row(row("counted".to_owned(), counted.collect()));
    let measured = profiles.iter().map(|profile| profile.measured);
    table.add_row(row("by the guest's clock".to_owned(), measured.collect()));
    table
}

/// A group's functions, most instructions first; those below `threshold` are summed up.
pub fn functions(profiles: &[Profile], group: Group, threshold: f64) -> Table {
    let mut rows: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (index, profile) in profiles.iter().enumerate() {
        for row in profile.functions.iter().filter(|row| row.group == group) {
            let cells = rows
                .entry(&row.name)
                .or_insert_with(|| vec![(0.0, 0.0); profiles.len()]);
            cells[index].0 += row.instructions;
            cells[index].1 += row.calls;
        }
    }
    let most = |cells: &[(f64, f64)]| cells.iter().map(|cell| cell.0).fold(0.0, f64::max);
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|left, right| most(&right.1).total_cmp(&most(&left.1)));
    let shown = rows.partition_point(|(_, cells)| most(cells) >= threshold);

    let mut table = new(&group.to_string(), profiles, &["", "calls"]);
    for (name, cells) in &rows[..shown] {
        let numbers = cells.iter().flat_map(|&(own, calls)| [own, calls]);
        table.add_row(row((*name).to_owned(), numbers.collect()));
    }
    let rest = &rows[shown..];
    if !rest.is_empty() {
        let numbers = (0..profiles.len()).flat_map(|index| {
            let sum = |pick: fn(&(f64, f64)) -> f64| {
                rest.iter().map(|(_, cells)| pick(&cells[index])).sum()
            };
            [sum(|cell| cell.0), sum(|cell| cell.1)]
        });
        let label = format!("({} more, each below {threshold})", rest.len());
        table.add_row(row(label, numbers.collect()));
    }
    table
}

/// What the drivers call in the rest of the kernel.
pub fn calls_out(profiles: &[Profile], threshold: f64) -> Table {
    let mut rows: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (index, profile) in profiles.iter().enumerate() {
        for (name, count) in profile.calls_out() {
            rows.entry(name)
                .or_insert_with(|| vec![0.0; profiles.len()])[index] = count;
        }
    }
    let most = |cells: &[f64]| cells.iter().copied().fold(0.0, f64::max);
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|(_, cells)| most(cells) >= threshold)
        .collect();
    rows.sort_by(|left, right| most(&right.1).total_cmp(&most(&left.1)));
    let mut table = new("calls from the driver into the kernel", profiles, &[""]);
    for (name, cells) in rows {
        table.add_row(row(name.to_owned(), cells));
    }
    table
}

/// Who calls one function.
pub fn callers(profiles: &[Profile], name: &str) -> Table {
    let mut rows: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (index, profile) in profiles.iter().enumerate() {
        for row in profile.functions.iter().filter(|row| row.name == name) {
            for caller in &row.callers {
                rows.entry(&caller.name)
                    .or_insert_with(|| vec![0.0; profiles.len()])[index] += caller.calls;
            }
        }
    }
    let most = |cells: &[f64]| cells.iter().copied().fold(0.0, f64::max);
    let mut rows: Vec<_> = rows.into_iter().collect();
    rows.sort_by(|left, right| most(&right.1).total_cmp(&most(&left.1)));
    let mut table = new(&format!("callers of {name}"), profiles, &[""]);
    for (name, cells) in rows {
        table.add_row(row(name.to_owned(), cells));
    }
    table
}

fn new(title: &str, profiles: &[Profile], columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    let numbers = profiles.iter().flat_map(|profile| {
        columns
            .iter()
            .map(move |column| format!("{} {column}", profile.device).trim().to_owned())
    });
    let header: Vec<_> = std::iter::once(title.to_owned())
        .chain(numbers)
        .enumerate()
        .map(|(index, text)| aligned(index, text))
        .collect();
    table.set_header(header);
    table
}

fn row(name: String, numbers: Vec<f64>) -> Vec<Cell> {
    let name = if name.chars().count() > NAME_WIDTH {
        name.chars().take(NAME_WIDTH - 1).chain(['…']).collect()
    } else {
        format!("{name:NAME_WIDTH$}")
    };
    std::iter::once(name)
        .chain(numbers.into_iter().map(number))
        .enumerate()
        .map(|(index, text)| aligned(index, text))
        .collect()
}

fn aligned(index: usize, text: String) -> Cell {
    let alignment = match index {
        0 => CellAlignment::Left,
        _ => CellAlignment::Right,
    };
    Cell::new(text).set_alignment(alignment)
}

fn number(value: f64) -> String {
    if value == 0.0 {
        "·".to_owned()
    } else if value < 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
