// SPDX-License-Identifier: GPL-2.0

//! The benchmark's figures, one row for each workload and unit.

use binder_bench::results::{Figure, Measured, Paired, Pairs, Suite, Unit};
use serde::Serialize;

/// The label of the driver that is compared with.
pub const REFERENCE: &str = "c";
/// The label of the driver that is compared.
pub const SUBJECT: &str = "ours";

/// One workload in one unit.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The workload's name.
    pub workload: String,
    /// What is counted.
    pub unit: Unit,
    /// Which value of the distribution the figures are.
    pub figure: Figure,
    /// The C driver's figure. A floor, which has no driver, has its figure in both places.
    pub c: Option<f64>,
    /// This driver's figure.
    pub ours: Option<f64>,
    /// `ours / c`; of paired blocks it is the median of the pairs' ratios.
    pub ratio: Option<f64>,
    /// The quartiles of the pairs' ratios.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quartiles: Option<[f64; 2]>,
    /// Pairs of blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<usize>,
    /// Whether this is a floor, or the calibration: the same whatever the driver.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub floor: bool,
}

impl Row {
    /// Whether the workload is one that a driver is judged by.
    pub fn counts(&self) -> bool {
        !self.floor && !self.workload.starts_with("floor-")
    }
}

/// The rows of a suite: instructions.
pub fn of_suite(suite: &Suite) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for measured in &suite.measured {
        let value = measured.value();
        let Some(device) = measured.device.as_deref() else {
            rows.push(Row {
                c: Some(value),
                ours: Some(value),
                floor: true,
                ..empty(measured)
            });
            continue;
        };
        let index = rows
            .iter()
            .position(|row| row.workload == measured.workload)
            .unwrap_or_else(|| {
                rows.push(empty(measured));
                rows.len() - 1
            });
        match device {
            REFERENCE => rows[index].c = Some(value),
            SUBJECT => rows[index].ours = Some(value),
            _ => {}
        }
    }
    for row in rows.iter_mut().filter(|row| !row.floor) {
        row.ratio = row.ours.zip(row.c).map(|(ours, c)| ours / c);
    }
    rows
}

fn empty(measured: &Measured) -> Row {
    Row {
        workload: measured.workload.clone(),
        unit: measured.sample.unit,
        figure: measured.figure,
        c: None,
        ours: None,
        ratio: None,
        quartiles: None,
        pairs: None,
        floor: false,
    }
}

/// The rows of paired blocks: nanoseconds.
pub fn of_pairs(pairs: &Pairs) -> Vec<Row> {
    pairs.paired.iter().map(of_paired).collect()
}

fn of_paired(paired: &Paired) -> Row {
    let sorted = |pick: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = paired.blocks.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (c, ours) = (sorted(|block| block.0), sorted(|block| block.1));
    let ratios = sorted(|block| block.1 / block.0);
    Row {
        workload: paired.workload.clone(),
        unit: Unit::Nanoseconds,
        figure: Figure::P50,
        c: quantile(&c, 0.5),
        ours: quantile(&ours, 0.5),
        ratio: quantile(&ratios, 0.5),
        quartiles: quantile(&ratios, 0.25)
            .zip(quantile(&ratios, 0.75))
            .map(|(low, high)| [low, high]),
        pairs: Some(paired.blocks.len()),
        floor: false,
    }
}

/// A quantile of sorted values, between the two nearest where it falls between them.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[low] + (sorted[high] - sorted[low]) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;
    use binder_bench::results::Sample;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.25), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 1.0), Some(8.0));
    }

    #[test]
    fn pairs_give_the_median_of_ratios_and_not_the_ratio_of_medians() {
        let row = of_paired(&Paired {
            workload: "sync-0".to_owned(),
            rounds_per_block: 1,
            blocks: vec![(1.0, 1.0), (2.0, 1.0), (4.0, 2.0)],
        });
        assert_eq!(row.ratio, Some(0.5));
        assert_eq!((row.c, row.ours), (Some(2.0), Some(1.0)));
        assert_eq!(row.quartiles, Some([0.5, 0.75]));
    }

    #[test]
    fn a_suite_gives_a_row_for_each_workload() {
        let measured = |workload: &str, device: Option<&str>, value| Measured {
            workload: workload.to_owned(),
            device: device.map(str::to_owned),
            figure: Figure::P50,
            sample: Sample::new(Unit::Instructions, vec![value], value),
        };
        let rows = of_suite(&Suite {
            guest: serde_json::from_value(serde_json::json!({
                "kernel": "", "version": "", "cpu": "", "cpus": 1, "fast_strings": [],
                "load_address": 0, "cpu_flags": "", "command_line": "",
            }))
            .unwrap(),
            devices: Vec::new(),
            measured: vec![
                measured("floor-pipe", None, 50),
                measured("sync-0", Some("c"), 200),
                measured("sync-0", Some("ours"), 150),
                measured("fd", Some("c"), 300),
            ],
        });
        assert_eq!(rows.len(), 3);
        assert!(rows[0].floor && !rows[0].counts());
        assert_eq!(
            (rows[0].c, rows[0].ours, rows[0].ratio),
            (Some(50.0), Some(50.0), None)
        );
        assert_eq!(rows[1].ratio, Some(0.75));
        assert_eq!((rows[2].ours, rows[2].ratio), (None, None));
    }
}
