// SPDX-License-Identifier: GPL-2.0

//! Which cases of a run reached what, on each device, and how they ended there.

use super::points::{self, Class, Point};
use crate::runner::{CaseResult, passed};
use std::collections::{BTreeMap, BTreeSet};

/// Cases by their place in the run.
type Cases = BTreeSet<usize>;

/// The points of a run.
pub struct Matrix<'a> {
    results: &'a [CaseResult],
    devices: usize,
    /// The cases that reached a point, one set per device.
    points: BTreeMap<Point, Vec<Cases>>,
}

impl<'a> Matrix<'a> {
    /// Counts.
    pub fn new(results: &'a [CaseResult], devices: usize) -> Self {
        let mut points: BTreeMap<Point, Vec<Cases>> = BTreeMap::new();
        for (case, result) in results.iter().enumerate() {
            for (device, run) in result.runs.iter().enumerate() {
                for point in run.report.seen.iter().flat_map(|item| points::of(*item)) {
                    let cases = points.entry(point);
                    cases.or_insert_with(|| vec![Cases::new(); devices])[device].insert(case);
                }
            }
        }
        Self {
            results,
            devices,
            points,
        }
    }

    /// The points of a class, constants in the order of the header.
    pub fn of_class(&self, class: Class) -> Vec<&Point> {
        let mut points: Vec<&Point> = self.points.keys().filter(|p| p.class == class).collect();
        points.sort_by_key(|point| (points::position(&point.name), point.name.clone()));
        points
    }

    /// Everything that was reached, by name.
    pub fn names(&self) -> BTreeSet<&str> {
        self.points
            .keys()
            .map(|point| point.name.as_str())
            .collect()
    }

    fn sets(&self, class: Class, name: &str) -> &[Cases] {
        let point = Point {
            class,
            name: name.into(),
        };
        self.points.get(&point).map_or(&[], Vec::as_slice)
    }

    /// The cases that reached a point on some device.
    pub fn cases(&self, class: Class, name: &str) -> Vec<&'static str> {
        let all: Cases = self.sets(class, name).iter().flatten().copied().collect();
        all.into_iter()
            .map(|case| self.results[case].case.name)
            .collect()
    }

    /// The cases that reached a point on every device and passed everywhere.
    pub fn witnesses(&self, name: &str) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (point, sets) in &self.points {
            if point.name != name {
                continue;
            }
            let everywhere = |case: &&usize| {
                sets.iter().all(|set| set.contains(case)) && !self.results[**case].failed()
            };
            let cases = sets.first().into_iter().flatten().filter(everywhere);
            found.extend(cases.map(|case| self.results[*case].case.name));
        }
        found
    }

    /// How many points each case reaches: the fewer, the more it is about them.
    pub fn breadths(&self) -> BTreeMap<&'static str, usize> {
        let mut breadths = BTreeMap::new();
        for case in self
            .points
            .values()
            .filter_map(|sets| sets.first())
            .flatten()
        {
            *breadths.entry(self.results[*case].case.name).or_default() += 1;
        }
        breadths
    }

    /// What a device's drivers say to the cases that reach a point.
    pub fn verdict(&self, class: Class, name: &str, device: usize) -> String {
        let sets = self.sets(class, name);
        let all: Cases = sets.iter().flatten().copied().collect();
        let failed = all
            .iter()
            .filter(|case| !passed(&self.results[**case].runs[device].report.verdict))
            .count();
        let here = sets.get(device).map_or(0, Cases::len);
        match (here, failed) {
            (_, 1..) => format!("{failed} of {} FAILED", all.len()),
            (0, 0) => "not reached".into(),
            (_, 0) if here < all.len() => format!("ok in {here}"),
            (_, 0) => "ok".into(),
        }
    }

    /// Number of devices.
    pub fn devices(&self) -> usize {
        self.devices
    }
}
