// SPDX-License-Identifier: GPL-2.0

//! Whether the figures are what the project aims at.

use crate::rows::Row;

/// The workload that the first aim is about.
const FIRST: &str = "sync-0";
/// What it may cost, as a part of what it costs with the C driver.
const FIRST_AIM: f64 = 0.90;
/// What any workload may.
const OVERALL_AIM: f64 = 1.00;

/// The outcome of the comparison, in a line.
pub struct Verdict {
    /// Both aims are reached.
    pub reached: bool,
    /// What to say.
    pub text: String,
}

/// Judges the rows of instructions.
pub fn judge(rows: &[Row]) -> Verdict {
    let ratios: Vec<(&str, f64)> = rows
        .iter()
        .filter(|row| row.counts())
        .filter_map(|row| Some((row.workload.as_str(), row.ratio?)))
        .collect();
    let Some(worst) = ratios
        .iter()
        .max_by(|left, right| left.1.total_cmp(&right.1))
    else {
        return Verdict {
            reached: false,
            text: "no verdict: only one driver was measured".to_owned(),
        };
    };
    let first = ratios.iter().find(|(name, _)| *name == FIRST);
    let first_reached = first.is_none_or(|(_, ratio)| *ratio <= FIRST_AIM);
    let overall_reached = worst.1 <= OVERALL_AIM;
    let word = |reached| if reached { "reached" } else { "missed" };
    let mut text = String::new();
    if let Some((name, ratio)) = first {
        text = format!(
            "{name} {ratio:.3} × C, aim ≤ {FIRST_AIM:.2}: {}; ",
            word(first_reached)
        );
    }
    text += &format!(
        "worst {} {:.3} × C, aim ≤ {OVERALL_AIM:.2}: {}",
        worst.0,
        worst.1,
        word(overall_reached)
    );
    Verdict {
        reached: first_reached && overall_reached,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use binder_bench::results::{Figure, Unit};

    fn row(workload: &str, ratio: Option<f64>) -> Row {
        Row {
            workload: workload.to_owned(),
            unit: Unit::Instructions,
            figure: Figure::P50,
            c: Some(1.0),
            ours: ratio,
            ratio,
            quartiles: None,
            pairs: None,
            floor: false,
        }
    }

    #[test]
    fn both_aims_count() {
        let reached =
            |first, second| judge(&[row("sync-0", Some(first)), row("fd", Some(second))]).reached;
        assert!(reached(0.9, 1.0));
        assert!(!reached(0.91, 1.0));
        assert!(!reached(0.9, 1.01));
    }

    #[test]
    fn floors_do_not_count() {
        let rows = [row("sync-0", Some(0.8)), row("floor-write-read", Some(2.0))];
        assert!(judge(&rows).reached);
    }

    #[test]
    fn without_a_comparison_nothing_is_reached() {
        assert!(!judge(&[row("sync-0", None)]).reached);
    }
}
