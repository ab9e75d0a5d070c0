// SPDX-License-Identifier: GPL-2.0

//! What the guest program hands to the programs that report.

use serde::{Deserialize, Serialize};

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Executed instructions.
    Instructions,
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
}

/// The distribution of one workload's rounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// What the values count.
    pub unit: Unit,
    /// How many rounds there were.
    pub rounds: u64,
    /// All rounds together, including what settling them took.
    pub total: u64,
    /// `total / rounds`.
    pub mean: f64,
    /// The median round.
    pub p50: u64,
    /// The round that 99 of 100 do not exceed.
    pub p99: u64,
    /// Each value that occurred, with how often it did, in rising order.
    pub histogram: Vec<(u64, u64)>,
}

impl Sample {
    /// Sums up the rounds' values.
    pub fn new(unit: Unit, mut values: Vec<u64>, total: u64) -> Self {
        values.sort_unstable();
        let rank = |percent: usize| {
            let index = (values.len() * percent).div_ceil(100).max(1) - 1;
            values.get(index).copied().unwrap_or(0)
        };
        let (p50, p99) = (rank(50), rank(99));
        let histogram = values
            .chunk_by(|left, right| left == right)
            .map(|same| (same[0], same.len() as u64))
            .collect();
        let rounds = values.len() as u64;
        Self {
            unit,
            rounds,
            total,
            mean: total as f64 / rounds.max(1) as f64,
            p50,
            p99,
            histogram,
        }
    }

    /// A sample of which only the sum is known, as of several processes at once.
    pub fn from_total(unit: Unit, rounds: u64, total: u64) -> Self {
        let mean = total as f64 / rounds.max(1) as f64;
        Self {
            unit,
            rounds,
            total,
            mean,
            p50: mean.round() as u64,
            p99: mean.round() as u64,
            histogram: Vec::new(),
        }
    }
}

/// Which of a sample's values stands for the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// The median round: a latency.
    P50,
    /// The mean over the loop: a throughput, where rounds overlap.
    Mean,
}

/// One workload on one device, or a floor (which has no device).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The workload's name.
    pub workload: String,
    /// The device's label, such as `c` or `ours`.
    pub device: Option<String>,
    /// Which of the sample's values stands for the workload.
    pub figure: Figure,
    /// The distribution.
    pub sample: Sample,
}

impl Measured {
    /// The value that stands for the workload.
    pub fn value(&self) -> f64 {
        match self.figure {
            Figure::P50 => self.sample.p50 as f64,
            Figure::Mean => self.sample.mean,
        }
    }
}

/// A device that was measured, or could not be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// The name under which it is reported.
    pub label: String,
    /// Its node.
    pub path: String,
    /// Why it was left out.
    pub absent: Option<String>,
}

/// The guest that the figures come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guest {
    /// The kernel's release.
    pub kernel: String,
    /// The kernel's build.
    pub version: String,
    /// The processor's model.
    pub cpu: String,
    /// How many processors this program could use.
    pub cpus: usize,
    /// Features under which instruction counts of copies are not comparable; none, if all is well.
    pub fast_strings: Vec<String>,
    /// Where the measuring program was loaded.
    pub load_address: u64,
    /// What the processor can do.
    pub cpu_flags: String,
    /// What the kernel was started with.
    pub command_line: String,
}

/// A run of the suite: every workload alone, one device after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suite {
    /// Where it ran.
    pub guest: Guest,
    /// What was measured.
    pub devices: Vec<Device>,
    /// The figures, in the order of the workloads.
    pub measured: Vec<Measured>,
}

/// Paired blocks of one workload on two devices.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Paired {
    /// The workload's name.
    pub workload: String,
    /// Rounds that each block averages over.
    pub rounds_per_block: u64,
    /// Nanoseconds per round of each block, pair by pair: first device, second device.
    pub blocks: Vec<(f64, f64)>,
}

/// A run of interleaved blocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pairs {
    /// Where it ran.
    pub guest: Guest,
    /// The two devices, first and second.
    pub devices: Vec<Device>,
    /// The blocks of each workload.
    pub paired: Vec<Paired>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_ranks_and_its_histogram() {
        let sample = Sample::new(Unit::Instructions, vec![5, 1, 3, 3, 9], 30);
        assert_eq!((sample.p50, sample.p99), (3, 9));
        assert_eq!(sample.histogram, [(1, 1), (3, 2), (5, 1), (9, 1)]);
        // What settling took counts in the mean, but is no round.
        assert_eq!(sample.mean, 6.0);
    }

    #[test]
    fn an_even_number_of_rounds_has_the_lower_one_as_its_median() {
        assert_eq!(Sample::new(Unit::Instructions, vec![4, 1, 2, 3], 10).p50, 2);
    }

    #[test]
    fn no_rounds_are_no_reason_to_fail() {
        let sample = Sample::new(Unit::Nanoseconds, Vec::new(), 0);
        assert_eq!((sample.p50, sample.p99, sample.mean), (0, 0, 0.0));
    }
}
