// SPDX-License-Identifier: GPL-2.0

//! The rounds of a scenario: when each thread begins, and what became of it.

use anyhow::{Context, Result, ensure};
use harness::race::{Finish, Party, Step, make_urgent, now, run};
use harness::{Cx, Thread};
use std::sync::Mutex;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The scenario.
    pub name: &'static str,
    /// What moments are derived from.
    pub seed: u64,
    /// The first round's number.
    pub first: u64,
    /// How many.
    pub rounds: u64,
    /// How far apart threads may begin.
    pub span: u64,
    /// Side by side, or one interrupts the other.
    pub parallel: bool,
}

static PLAN: Mutex<Option<Plan>> = Mutex::new(None);

/// Sets the plan of the scenario that runs next.
pub fn set_plan(plan: Plan) {
    if let Ok(mut current) = PLAN.lock() {
        *current = Some(plan);
    }
}

/// The rounds of a scenario.
pub struct Race {
    plan: Plan,
    /// How long before the start the threads are told.
    lead: u64,
    late: u64,
    longest: u64,
    /// Rounds of which the ends are known, and those of them in which two were at it at once.
    timed: u64,
    met: u64,
    /// The least that the first thread took in a round.
    shortest: Option<u64>,
    random: fastrand::Rng,
}

/// Enough for a message to each thread when nothing disturbs.
const LEAD: u64 = 400_000;
/// If threads did not meet in so many rounds, they never will.
const ENOUGH: u64 = 20;
/// A machine that is later than this is just slow.
const LONGEST_LEAD: u64 = 20_000_000;

impl Race {
    /// Runs all rounds; what fails says how to repeat it.
    pub fn rounds(cx: &mut Cx, mut round: impl FnMut(&Cx, &mut Race) -> Result<()>) -> Result<()> {
        let plan = PLAN
            .lock()
            .ok()
            .and_then(|plan| *plan)
            .context("no plan was made")?;
        let mut race = Self {
            plan,
            lead: LEAD,
            late: 0,
            longest: 0,
            timed: 0,
            met: 0,
            shortest: None,
            random: fastrand::Rng::new(),
        };
        for number in plan.first..plan.first.saturating_add(plan.rounds) {
            let name: u64 = plan.name.bytes().fold(7, |sum, byte| {
                sum.wrapping_mul(31).wrapping_add(byte.into())
            });
            let seed =
                plan.seed ^ name.rotate_left(32) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            race.random = fastrand::Rng::with_seed(seed);
            round(cx, &mut race).with_context(|| {
                format!(
                    "round {number}; repeat in a fresh guest with --scenario {} --seed {} --rounds {} \
                     --span {} --parallel {}",
                    plan.name,
                    plan.seed,
                    number.saturating_add(1),
                    plan.span,
                    plan.parallel
                )
            })?;
        }
        cx.note("rounds", plan.rounds);
        cx.note("late", race.late);
        cx.note("longest ns", race.longest);
        cx.note("met", format!("{} of {}", race.met, race.timed));
        ensure!(
            race.met > 0 || race.timed < ENOUGH,
            "nobody met anybody in {} rounds",
            race.timed
        );
        Ok(())
    }

    /// A number that the round's seed chooses, below a limit.
    pub fn choose(&mut self, limit: u64) -> u64 {
        self.random.u64(..limit)
    }

    /// Prepares a thread that will be one of those that interrupt.
    pub fn intruder(&self, thread: &mut Thread) -> Result<()> {
        match self.plan.parallel {
            true => Ok(()),
            false => make_urgent(thread),
        }
    }

    /// The first thread begins, the others come at moments of their own: somewhere in
    /// what it does.
    pub fn run(&mut self, parties: Vec<(&mut Thread, Vec<Step>)>) -> Result<Vec<Result<Finish>>> {
        let start = now() + self.lead + self.plan.span;
        let parallel = self.plan.parallel;
        let span = self.span();
        let parties: Vec<Party<'_>> = parties
            .into_iter()
            .enumerate()
            .map(|(index, (thread, steps))| {
                // Side by side another may also come first.
                let (start, asleep) = match (index, parallel) {
                    (0, _) => (start, false),
                    (_, false) => (start + self.choose(span), true),
                    (_, true) => (start - span / 2 + self.choose(span), false),
                };
                Party {
                    thread,
                    steps,
                    start,
                    asleep,
                }
            })
            .collect();
        let starts: Vec<u64> = parties.iter().map(|party| party.start).collect();
        let finished = run(parties)?;
        self.note_meeting(&starts, &finished);
        if let Some(Ok(Finish {
            took: Some(took), ..
        })) = finished.first()
        {
            self.shortest = Some(self.shortest.map_or(*took, |shortest| shortest.min(*took)));
        }
        for finish in finished.iter().flatten() {
            match finish.took {
                Some(took) => self.longest = self.longest.max(took),
                None => {
                    self.late += 1;
                    self.lead = (self.lead * 2).min(LONGEST_LEAD);
                }
            }
        }
        Ok(finished)
    }

    /// How far apart threads begin this time: every other time so that most meet, if what the first does
    /// is done soon.
    fn span(&mut self) -> u64 {
        let near = self
            .shortest
            .map_or(self.plan.span, |took| took.saturating_mul(2).max(1));
        match self.random.bool() {
            true => near.min(self.plan.span),
            false => self.plan.span,
        }
    }

    /// Takes note of whether some of them ran at the same time. Who can't say when it was done was
    /// ended by another.
    fn note_meeting(&mut self, starts: &[u64], finished: &[Result<Finish>]) {
        let took = |finish: &Result<Finish>| finish.as_ref().ok().and_then(|finish| finish.took);
        let mut spans: Vec<(u64, u64)> = starts
            .iter()
            .zip(finished)
            .filter_map(|(start, finish)| Some((*start, start + took(finish)?)))
            .collect();
        spans.sort_unstable();
        let ended = finished.iter().any(Result::is_err);
        if ended || spans.len() > 1 {
            self.timed += 1;
            self.met += u64::from(ended || spans.windows(2).any(|pair| pair[1].0 < pair[0].1));
        }
    }
}
