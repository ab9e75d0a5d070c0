// SPDX-License-Identifier: GPL-2.0

//! Random operations on [`Ranges`] beside the literal model.

use super::{claim, model::Model, open, reserve, Who};
use crate::buffer::ranges::{Ranges, ReserveError, Reserved, TakeError, Taken};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Reserve so many bytes for a sender.
    Reserve {
        bytes: u32,
        sender: i32,
        oneway: bool,
    },
    /// Go on with some range: deliver, take or free it, whatever comes next for it.
    Advance(prop::sample::Index),
    /// Free a reserved range without delivering it.
    Cancel(prop::sample::Index),
    /// Take some delivered range.
    TakeAny,
    /// Try to take what can't be taken.
    TakeWrong(u32),
}

/// A range the test has.
enum Mine {
    Reserved(Reserved),
    Delivered,
    Taken(Taken),
}

fn bytes(size: u32) -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => 0..200u32,
        4 => 0..=size / 20,
        1 => 0..=size,
    ]
}

fn step(size: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (bytes(size), 1..4i32, any::<bool>())
            .prop_map(|(bytes, sender, oneway)| Step::Reserve { bytes, sender, oneway }),
        6 => any::<prop::sample::Index>().prop_map(Step::Advance),
        1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        1 => Just(Step::TakeAny),
        1 => (0..size).prop_map(Step::TakeWrong),
    ]
}

/// The space, the model and what the test has.
struct Bed {
    ranges: Ranges<u32>,
    model: Model,
    mine: Vec<(u32, Mine)>,
}

impl Bed {
    fn reserve(&mut self, bytes: u32, sender: i32, oneway: bool) {
        let claim = claim(bytes, Who { sender, oneway });
        let size = claim.layout.total();
        let room = self.model.has_room(size, oneway);
        match reserve(&mut self.ranges, &claim) {
            Ok(reservation) => {
                assert!(room, "a oneway buffer without room for it");
                let start = reservation.start;
                let spam = self.model.put(start, size, sender, oneway);
                assert_eq!(reservation.spam_suspect, spam);
                self.mine.push((start, Mine::Reserved(reservation.key)));
            }
            Err(error) => {
                assert!(!room, "{error:?} although there is room for {size}");
                let short = oneway && self.model.free_async < size;
                let expected = if short {
                    ReserveError::NoAsyncSpace
                } else {
                    ReserveError::NoSpace
                };
                assert_eq!(error, expected);
            }
        }
    }

    fn advance(&mut self, at: usize) {
        let (start, mine) = self.mine.swap_remove(at);
        let next = match mine {
            Mine::Reserved(key) => {
                assert_eq!(self.ranges.take(start).err(), Some(TakeError::NotDelivered));
                self.ranges.deliver(key, start);
                Mine::Delivered
            }
            Mine::Delivered => {
                let (key, entry, payload) = self.ranges.take(start).expect("it was delivered");
                assert_eq!((entry.start, payload), (start, start));
                assert!(entry.delivered);
                Mine::Taken(key)
            }
            Mine::Taken(key) => {
                assert_eq!(self.ranges.take(start).err(), Some(TakeError::NotDelivered));
                self.ranges.release(key);
                self.model.free(start);
                return;
            }
        };
        self.mine.push((start, next));
    }

    fn cancel(&mut self, at: usize) {
        let (start, mine) = self.mine.swap_remove(at);
        match mine {
            Mine::Reserved(key) => {
                self.ranges.cancel(key);
                self.model.free(start);
            }
            other => self.mine.push((start, other)),
        }
    }

    fn take_any(&mut self) {
        let delivered = |(_, mine): &(u32, Mine)| matches!(mine, Mine::Delivered);
        match self.ranges.take_any() {
            None => assert!(!self.mine.iter().any(delivered)),
            Some((key, entry, payload)) => {
                assert_eq!(payload, entry.start);
                let at = self
                    .mine
                    .iter()
                    .position(|mine| delivered(mine) && mine.0 == payload)
                    .expect("what was taken had been delivered");
                self.mine[at].1 = Mine::Taken(key);
            }
        }
    }

    fn take_wrong(&mut self, start: u32) {
        if !self.mine.iter().any(|(mine, _)| *mine == start) {
            assert_eq!(self.ranges.take(start).err(), Some(TakeError::NoMatch));
        }
    }

    fn check(&self) {
        let (mut gaps, mut live) = self.ranges.check();
        gaps.sort();
        live.sort();
        assert_eq!(gaps, self.model.places(true));
        assert_eq!(live, self.model.places(false));
        assert_eq!(self.ranges.free_async(), self.model.free_async);
        let mut entries = vec![Default::default(); live.len() + 1];
        assert_eq!(self.ranges.entries(0, &mut entries), live.len());
        for (entry, (start, size)) in entries.iter().zip(&live) {
            assert_eq!((entry.start, entry.layout.total()), (*start, *size));
        }
    }
}

fn run(size: u32, steps: Vec<Step>) {
    let mut bed = Bed {
        ranges: open(size),
        model: Model::new(size),
        mine: Vec::new(),
    };
    for step in steps {
        match step {
            Step::Reserve {
                bytes,
                sender,
                oneway,
            } => bed.reserve(bytes, sender, oneway),
            Step::Advance(at) if !bed.mine.is_empty() => bed.advance(at.index(bed.mine.len())),
            Step::Cancel(at) if !bed.mine.is_empty() => bed.cancel(at.index(bed.mine.len())),
            Step::Advance(_) | Step::Cancel(_) => {}
            Step::TakeAny => bed.take_any(),
            Step::TakeWrong(start) => bed.take_wrong(start),
        }
        bed.check();
    }
    while !bed.mine.is_empty() {
        bed.advance(0);
        bed.check();
    }
    assert_eq!(bed.model.places(true), [(0, size)]);
    assert_eq!(bed.ranges.free_async(), size / 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A small space is full most of the time, and always short of room for oneway buffers.
    #[test]
    fn small_space(steps in prop::collection::vec(step(4096), 1..300)) {
        run(4096, steps);
    }

    /// In a larger one there are gaps of all classes.
    #[test]
    fn large_space(steps in prop::collection::vec(step(1 << 18), 1..400)) {
        run(1 << 18, steps);
    }
}
