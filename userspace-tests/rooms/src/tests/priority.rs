// SPDX-License-Identifier: GPL-2.0

//! At what priority messages are served.

use crate::abi::object::NodeFlags;
use crate::object::priority::{nice_for, Demand, Limits, Own, Policy, Priority};
use binder_abi as protocol;
use proptest::prelude::*;

/// The C driver's rule, word by word: numbers are compared as they stand in its structures.
fn nice_in_c(minimum: u8, sender: i8, own: i8, oneway: bool) -> Option<i64> {
    let (minimum, sender, own) = (i64::from(minimum), i64::from(sender), i64::from(own));
    if sender < minimum && !oneway {
        return Some(sender);
    }
    if !oneway || own > minimum {
        return Some(minimum);
    }
    None
}

#[test]
fn a_call_is_served_at_the_better_of_two() {
    assert_eq!(nice_for(0, -5, 0, false), Some(-5));
    assert_eq!(nice_for(0, 5, 7, false), Some(0));
    assert_eq!(nice_for(19, 10, 0, false), Some(10));
}

#[test]
fn what_is_no_nice_value_leaves_it_to_the_caller() {
    for minimum in 20..=255 {
        for nice in -20..20 {
            assert_eq!(nice_for(minimum, nice, 0, false), Some(nice.into()));
            assert_eq!(nice_for(minimum, 0, nice, true), None);
        }
    }
}

#[test]
fn the_rule_is_that_of_c() {
    for minimum in 0..=255 {
        for (sender, own) in (-20..20).flat_map(|one| (-20..20).map(move |other| (one, other))) {
            for oneway in [false, true] {
                assert_eq!(
                    nice_for(minimum, sender, own, oneway).map(i64::from),
                    nice_in_c(minimum, sender, own, oneway),
                    "{minimum} for {sender} on {own}"
                );
            }
        }
    }
}

const INHERIT: u32 = protocol::FLAT_BINDER_FLAG_INHERIT_RT;
/// `SCHED_IDLE`, `SCHED_DEADLINE`, `SCHED_EXT`.
const OTHERS: [u8; 3] = [5, 6, 7];
const PRIVILEGED: Limits = Limits {
    sys_nice: true,
    real_time: 0,
    nice: 0,
};

fn normal(nice: i8) -> Priority {
    Priority::new(Policy::Normal, nice).unwrap()
}

fn batch(nice: i8) -> Priority {
    Priority::new(Policy::Batch, nice).unwrap()
}

fn fifo(level: i8) -> Priority {
    Priority::new(Policy::Fifo, level).unwrap()
}

fn round_robin(level: i8) -> Priority {
    Priority::new(Policy::RoundRobin, level).unwrap()
}

/// Flags of a node with a minimum; [`INHERIT`] makes those not plain that name no policy.
fn flags(policy: Policy, byte: i8, more: u32) -> u32 {
    let policy = u32::from(policy.number()) << protocol::FLAT_BINDER_FLAG_SCHED_POLICY_SHIFT;
    policy | u32::from(byte as u8) | more
}

fn demand(flags: u32) -> Demand {
    Demand::of(NodeFlags::from_bits(flags)).expect("not a plain node")
}

/// A thread at a priority.
fn at(priority: Priority) -> Own {
    let policy = priority.policy();
    match policy.is_real_time() {
        true => Own {
            policy: policy.number(),
            nice: 0,
            real_time: priority.level() as u8,
        },
        false => Own {
            policy: policy.number(),
            nice: priority.level(),
            real_time: 0,
        },
    }
}

fn limited(real_time: usize, nice: usize) -> Limits {
    Limits {
        sys_nice: false,
        real_time,
        nice,
    }
}

#[test]
fn nodes_without_the_flags_are_plain() {
    for bits in [0, 0x7f, 0xff, 0x100, 0x1000, 0x1fb, !0xe00] {
        assert_eq!(Demand::of(NodeFlags::from_bits(bits)), None, "{bits:#x}");
    }
    for bits in [0x200, 0x400, 0x600, INHERIT, INHERIT | 0x1ff] {
        assert_ne!(Demand::of(NodeFlags::from_bits(bits)), None, "{bits:#x}");
    }
}

#[test]
fn the_more_urgent_of_caller_and_node_wins() {
    let node = demand(flags(Policy::Fifo, 10, INHERIT));
    assert_eq!(node.priority(normal(-20)), fifo(10));
    assert_eq!(node.priority(fifo(9)), fifo(10));
    assert_eq!(node.priority(fifo(11)), fifo(11));
    assert_eq!(node.priority(round_robin(99)), round_robin(99));
    let node = demand(flags(Policy::Batch, -3, 0));
    assert_eq!(node.priority(normal(-2)), batch(-3));
    assert_eq!(node.priority(normal(-4)), normal(-4));
    let node = demand(flags(Policy::Normal, 19, INHERIT));
    assert_eq!(node.priority(normal(19)), normal(19));
    assert_eq!(node.priority(batch(4)), batch(4));
    assert_eq!(node.priority(fifo(1)), fifo(1));
}

#[test]
fn of_equals_the_caller_is_kept_unless_the_node_wants_fifo() {
    let node = demand(flags(Policy::Fifo, 10, INHERIT));
    assert_eq!(node.priority(round_robin(10)), fifo(10));
    let node = demand(flags(Policy::RoundRobin, 10, INHERIT));
    assert_eq!(node.priority(fifo(10)), fifo(10));
    let node = demand(flags(Policy::Batch, 5, 0));
    assert_eq!(node.priority(normal(5)), normal(5));
}

#[test]
fn real_time_is_not_inherited_unless_the_node_says_so() {
    let node = demand(flags(Policy::Batch, 19, 0));
    assert_eq!(node.priority(fifo(50)), normal(0));
    assert_eq!(node.priority(round_robin(1)), normal(0));
    let node = demand(flags(Policy::Batch, -5, 0));
    assert_eq!(node.priority(fifo(50)), batch(-5));
    let node = demand(flags(Policy::RoundRobin, 7, 0));
    assert_eq!(node.priority(fifo(50)), round_robin(7));
}

#[test]
fn numbers_out_of_range_are_no_minimum() {
    for byte in [0, 100, 127, -1, -128] {
        for policy in [Policy::Fifo, Policy::RoundRobin] {
            let node = demand(flags(policy, byte, 0));
            assert_eq!(node.priority(normal(19)), normal(19), "{byte}");
        }
    }
    for byte in [20, 127, -21, -128] {
        for policy in [Policy::Normal, Policy::Batch] {
            let node = demand(flags(policy, byte, INHERIT));
            assert_eq!(node.priority(normal(19)), normal(19), "{byte}");
        }
    }
}

#[test]
fn a_oneway_message_makes_nobody_less_urgent() {
    assert!(at(normal(0)).is_below(normal(-1)));
    assert!(!at(normal(0)).is_below(batch(0)));
    assert!(!at(normal(0)).is_below(normal(1)));
    assert!(at(normal(-20)).is_below(fifo(1)));
    assert!(!at(fifo(1)).is_below(normal(-20)));
    assert!(!at(round_robin(3)).is_below(fifo(3)));
    let idle = Own {
        policy: OTHERS[0],
        nice: -20,
        real_time: 0,
    };
    assert!(idle.is_below(normal(19)));
}

#[test]
fn what_is_privileged_gets_what_it_is_to_have() {
    for wanted in [normal(-20), batch(19), fifo(99), round_robin(1)] {
        for own in [normal(19), batch(-20), fifo(99), round_robin(2)] {
            let granted = PRIVILEGED.grant(wanted, at(own));
            assert_eq!(granted, (own != wanted).then_some(wanted));
        }
    }
}

#[test]
fn real_time_is_limited() {
    let own = at(normal(0));
    assert_eq!(limited(30, 0).grant(fifo(40), own), Some(fifo(30)));
    assert_eq!(limited(30, 0).grant(fifo(30), own), Some(fifo(30)));
    assert_eq!(
        limited(30, 0).grant(round_robin(7), own),
        Some(round_robin(7))
    );
    assert_eq!(limited(usize::MAX, 0).grant(fifo(99), own), Some(fifo(99)));
    // Without a limit, the best nice value.
    assert_eq!(limited(0, 25).grant(fifo(40), own), Some(normal(-5)));
    assert_eq!(
        limited(0, usize::MAX).grant(fifo(40), own),
        Some(normal(-20))
    );
    assert_eq!(limited(0, 0).grant(fifo(40), own), None);
    assert_eq!(limited(0, 0).grant(fifo(40), at(batch(3))), Some(normal(3)));
    // What it has it keeps.
    assert_eq!(limited(20, 0).grant(fifo(60), at(fifo(50))), None);
    assert_eq!(
        limited(20, 0).grant(round_robin(60), at(fifo(50))),
        Some(round_robin(50))
    );
    assert_eq!(
        limited(0, 0).grant(round_robin(40), at(fifo(50))),
        Some(fifo(40))
    );
}

#[test]
fn nice_values_are_limited() {
    assert_eq!(
        limited(0, 25).grant(normal(-10), at(normal(0))),
        Some(normal(-5))
    );
    assert_eq!(
        limited(0, 25).grant(normal(10), at(normal(0))),
        Some(normal(10))
    );
    assert_eq!(limited(0, 0).grant(normal(-10), at(normal(7))), None);
    assert_eq!(
        limited(0, 0).grant(normal(8), at(normal(7))),
        Some(normal(8))
    );
    // Better than the limit allows, which it may keep.
    assert_eq!(
        limited(0, 10).grant(batch(-10), at(normal(-3))),
        Some(batch(-3))
    );
    // From real time, down to the nice value that it has.
    let own = Own {
        nice: 4,
        ..at(fifo(9))
    };
    assert_eq!(limited(0, 0).grant(normal(0), own), Some(normal(4)));
}

#[test]
fn some_policies_are_left_alone() {
    for policy in OTHERS {
        let own = Own {
            policy,
            nice: 0,
            real_time: 0,
        };
        let idle = policy == OTHERS[0];
        assert_eq!(PRIVILEGED.grant(fifo(1), own), idle.then_some(fifo(1)));
        // What is idle may do more if its nice value would be allowed.
        let granted = limited(1, 20).grant(fifo(1), own);
        assert_eq!(granted, idle.then_some(fifo(1)));
        assert_eq!(limited(1, 19).grant(fifo(1), own), None);
        assert_eq!(limited(1, 19).grant(normal(19), own), None);
    }
}

/// What the kernel allows a thread that asks for itself, `user_check_sched_setscheduler()`.
fn allowed(limits: &Limits, wanted: Priority, own: Own) -> bool {
    let may_have = |nice: i8| (20 - i32::from(nice)) as usize <= limits.nice;
    let level = wanted.level();
    let policy = match wanted.policy().is_real_time() {
        true => {
            (wanted.policy().number() == own.policy || limits.real_time != 0)
                && (level as u8 <= own.real_time || level as usize <= limits.real_time)
        }
        false => level >= own.nice || may_have(level),
    };
    limits.sys_nice || policy && (own.policy != OTHERS[0] || may_have(own.nice))
}

fn priorities() -> impl Strategy<Value = Priority> {
    prop_oneof![
        (-20i8..20).prop_map(normal),
        (-20i8..20).prop_map(batch),
        (1i8..100).prop_map(fifo),
        (1i8..100).prop_map(round_robin),
    ]
}

fn threads() -> impl Strategy<Value = Own> {
    (priorities(), -20i8..20, 0..10u8).prop_map(|(priority, nice, idle)| {
        let own = at(priority);
        match (idle, priority.policy().is_real_time()) {
            (0, _) => Own {
                policy: OTHERS[0],
                nice,
                real_time: 0,
            },
            (_, true) => Own { nice, ..own },
            (_, false) => own,
        }
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let real_time = prop_oneof![Just(0), Just(usize::MAX), 0usize..110];
    let nice = prop_oneof![Just(0), Just(usize::MAX), 0usize..45];
    (real_time, nice, 0..8u8).prop_map(|(real_time, nice, sys_nice)| Limits {
        sys_nice: sys_nice == 0,
        real_time,
        nice,
    })
}

proptest! {
    #[test]
    fn a_node_is_served_at_one_of_two(
        bits in any::<u32>().prop_filter("plain", |bits| bits & 0xe00 != 0),
        caller in priorities()
    ) {
        let node = demand(bits);
        let priority = node.priority(caller);
        let served = at(priority);
        prop_assert!(!served.is_below(caller) || caller.policy().is_real_time() && bits & INHERIT == 0);
        let policy = Policy::from_number((bits >> 9) as u8 & 3).unwrap();
        let minimum = Priority::new(policy, bits as u8 as i8);
        prop_assert!([Some(caller), minimum, Some(normal(0))].contains(&Some(priority)));
        prop_assert!(minimum.is_none_or(|minimum| !served.is_below(minimum)));
    }

    #[test]
    fn nobody_gets_what_it_could_not_ask_for(
        limits in limits(), wanted in priorities(), own in threads()
    ) {
        if let Some(granted) = limits.grant(wanted, own) {
            prop_assert!(Priority::new(granted.policy(), granted.level()).is_some());
            prop_assert!(allowed(&limits, granted, own));
            // Never more than was wanted.
            prop_assert!(!at(wanted).is_below(granted));
        }
    }

    #[test]
    fn who_could_ask_for_it_gets_it(
        limits in limits(), wanted in priorities(), own in threads()
    ) {
        if allowed(&limits, wanted, own) {
            let now = limits.grant(wanted, own).or(own.priority());
            prop_assert_eq!(now, Some(wanted));
        }
    }

    #[test]
    fn twice_is_once(limits in limits(), wanted in priorities(), own in threads()) {
        if let Some(granted) = limits.grant(wanted, own) {
            let nice = match granted.policy().is_real_time() {
                true => own.nice,
                false => granted.level(),
            };
            prop_assert_eq!(limits.grant(wanted, Own { nice, ..at(granted) }), None);
        }
    }
}
