// SPDX-License-Identifier: GPL-2.0

//! The measuring loop. It does not allocate, and adds a few instructions to a round.

use anyhow::Result;

use crate::clock::Clock;
use crate::marker;
use binder_bench::results::Sample;

/// How often a workload is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds that are not counted.
    pub warmup: usize,
    /// Rounds that are.
    pub rounds: usize,
}

/// Something that is done once per round.
pub trait Rounds {
    /// One round.
    fn round(&mut self) -> Result<()>;

    /// Waits until everything that the rounds so far have set going is done.
    fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Runs a plan: each value is the time from the end of one round to the end of the next.
pub fn measure<C: Clock>(plan: Plan, subject: &mut impl Rounds) -> Result<Sample> {
    let mut values = vec![u64::MAX; plan.rounds];
    for _ in 0..plan.warmup {
        subject.round()?;
    }
    subject.settle()?;
    marker::start();
    let start = C::now();
    let mut last = start;
    for value in &mut values {
        subject.round()?;
        let now = C::now();
        *value = now - last;
        last = now;
    }
    subject.settle()?;
    let total = C::now() - start;
    marker::stop();
    Ok(Sample::new(C::UNIT, values, total))
}
