// SPDX-License-Identifier: GPL-2.0

//! At what priority messages are served.

use crate::object::priority::nice_for;
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

proptest! {
    #[test]
    fn the_rule_is_that_of_c(
        minimum in any::<u8>(), sender in -20i8..20, own in -20i8..20, oneway in any::<bool>()
    ) {
        prop_assert_eq!(
            nice_for(minimum, sender, own, oneway).map(i64::from),
            nice_in_c(minimum, sender, own, oneway)
        );
    }
}
