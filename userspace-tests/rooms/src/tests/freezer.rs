// SPDX-License-Identifier: GPL-2.0

//! The state of a process that can be frozen, beside a literal model.

use crate::object::freezer::{Answered, Freezer, FrozenStatus};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A call is sent, as far as it gets.
    Call,
    /// So is a oneway message.
    Oneway,
    /// A reply reaches the process.
    ReplyArrives,
    /// The process reads up to so many oneway messages and replies, or they are given up.
    Settle(u8),
    /// The process replies to a call.
    Answer,
    /// A call is given up.
    GiveUpCall,
    Freeze,
    GiveUp,
    Thaw,
    WaitBegins,
    WaitEnds,
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Call),
        2 => Just(Op::Oneway),
        1 => Just(Op::ReplyArrives),
        2 => (1..4_u8).prop_map(Op::Settle),
        3 => Just(Op::Answer),
        1 => Just(Op::GiveUpCall),
        1 => Just(Op::Freeze),
        1 => Just(Op::GiveUp),
        1 => Just(Op::Thaw),
        1 => Just(Op::WaitBegins),
        1 => Just(Op::WaitEnds),
    ]
}

/// What there is to know, each on its own.
#[derive(Default)]
struct Model {
    calls: u32,
    others: u32,
    frozen: bool,
    missed_call: bool,
    missed_oneway: bool,
    waiters: u32,
}

proptest! {
    #[test]
    fn behaves_like_the_model(ops in prop::collection::vec(any_op(), 0..200)) {
        let (mut freezer, answered) = (Freezer::new(), Answered::new());
        let mut model = Model::default();
        for op in ops {
            match op {
                Op::Call => {
                    prop_assert_eq!(freezer.refuses_call(), model.frozen);
                    if model.frozen {
                        model.missed_call = true;
                    } else {
                        freezer.sent();
                        model.calls += 1;
                    }
                }
                Op::Oneway => {
                    prop_assert_eq!(freezer.delays_oneway(), model.frozen);
                    model.missed_oneway |= model.frozen;
                    freezer.sent();
                    model.others += 1;
                }
                Op::ReplyArrives => {
                    freezer.sent();
                    model.others += 1;
                }
                Op::Settle(count) => {
                    let count = model.others.min(count.into());
                    prop_assert_eq!(freezer.settled(count), model.waiters > 0);
                    model.others -= count;
                }
                Op::Answer if model.calls > 0 => {
                    prop_assert_eq!(answered.add_one(), model.waiters > 0);
                    model.calls -= 1;
                }
                Op::GiveUpCall if model.calls > 0 => {
                    prop_assert_eq!(freezer.settled(1), model.waiters > 0);
                    model.calls -= 1;
                }
                Op::Answer | Op::GiveUpCall => {}
                Op::Freeze => {
                    freezer.freeze();
                    model = Model { frozen: true, missed_call: false, missed_oneway: false, ..model };
                }
                Op::GiveUp => {
                    freezer.give_up();
                    model.frozen = false;
                }
                Op::Thaw => {
                    freezer.thaw();
                    model = Model { frozen: false, missed_call: false, missed_oneway: false, ..model };
                }
                Op::WaitBegins => {
                    freezer.wait_begins(&answered);
                    model.waiters += 1;
                }
                Op::WaitEnds if model.waiters > 0 => {
                    freezer.wait_ends(&answered);
                    model.waiters -= 1;
                }
                Op::WaitEnds => {}
            }
            prop_assert_eq!(freezer.is_frozen(), model.frozen);
            prop_assert_eq!(freezer.is_pending(&answered), model.calls + model.others > 0);
            for pending in [false, true] {
                let expected = FrozenStatus {
                    sync_recv: u32::from(model.missed_call) + 2 * u32::from(pending),
                    async_recv: model.missed_oneway.into(),
                };
                prop_assert_eq!(freezer.status(pending), expected);
            }
        }
    }
}
