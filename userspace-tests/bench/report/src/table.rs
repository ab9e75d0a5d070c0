// SPDX-License-Identifier: GPL-2.0

//! The figures for reading in a terminal.

use binder_bench::results::Figure;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};

use crate::rows::Row;

/// Instructions per round.
pub fn instructions(rows: &[Row]) -> Table {
    let mut table = new(&["instructions", "C", "ours", "ours/C", ""]);
    for row in rows.iter().filter(|row| !row.floor) {
        table.add_row(cells(&[
            row.workload.clone(),
            number(row.c),
            number(row.ours),
            ratio(row.ratio),
            match row.figure {
                Figure::P50 => "p50",
                Figure::Mean => "mean",
            }
            .to_owned(),
        ]));
    }
    table
}

/// What the same guest needs for less than a call.
pub fn floors(rows: &[Row]) -> Table {
    let mut table = new(&["floors", "instructions"]);
    for row in rows.iter().filter(|row| row.floor) {
        table.add_row(cells(&[row.workload.clone(), number(row.c)]));
    }
    table
}

/// Wall-clock ratios of paired blocks.
pub fn pairs(rows: &[Row]) -> Table {
    let mut table = new(&[
        "wall clock, ns",
        "C",
        "ours",
        "ours/C",
        "quartiles",
        "pairs",
    ]);
    for row in rows {
        let quartiles = row
            .quartiles
            .map(|[low, high]| format!("{low:.3}–{high:.3}"))
            .unwrap_or_default();
        table.add_row(cells(&[
            row.workload.clone(),
            number(row.c),
            number(row.ours),
            ratio(row.ratio),
            quartiles,
            row.pairs.map(|count| count.to_string()).unwrap_or_default(),
        ]));
    }
    table
}

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_header(cells(header));
    table
}

fn cells<T: ToString>(texts: &[T]) -> Vec<Cell> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let alignment = match index {
                0 => CellAlignment::Left,
                _ => CellAlignment::Right,
            };
            Cell::new(text.to_string()).set_alignment(alignment)
        })
        .collect()
}

/// A whole number with its thousands apart.
pub fn number(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(number(Some(350.0)), "350");
        assert_eq!(number(Some(27564.4)), "27 564");
        assert_eq!(number(Some(1234567.0)), "1 234 567");
        assert_eq!(number(None), "–");
    }
}
