// SPDX-License-Identifier: GPL-2.0

//! At what priority messages are served.
//!
//! As in the C driver, a node has a minimum, the low byte of its flags, that is compared with nice
//! values: the smaller number is the more urgent one.

/// The nice value to be set for the thread that takes a message, whose own is `own`; `None` leaves
/// the thread as it is.
///
/// Whoever waits for a call does so with the nice value `sender`, unless the node wants a better one.
/// Nobody waits for a oneway message, so there only the node counts, and only for what is better. The
/// node's byte has no sign: it can't ask for a nice value below 0, and from 20 on it is none.
#[inline]
pub(crate) fn nice_for(minimum: u8, sender: i8, own: i8, oneway: bool) -> Option<i16> {
    let minimum = i16::from(minimum);
    match oneway {
        false if i16::from(sender) < minimum => Some(sender.into()),
        false => Some(minimum),
        true if i16::from(own) > minimum => Some(minimum),
        true => None,
    }
}
