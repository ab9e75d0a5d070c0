// SPDX-License-Identifier: GPL-2.0

//! The allocator at its limits.

use super::{claim, open, reserve, Who, CALLER, USUAL};
use crate::buffer::ranges::{Ground, Growth, Ranges, ReserveError, Storage, TakeError};

const SPAMMER: Who = Who {
    sender: 7,
    oneway: true,
};

#[test]
fn nothing_before_open() {
    let mut ranges = Ranges::<()>::new();
    let refused = reserve(&mut ranges, &claim(8, CALLER)).err();
    assert_eq!(refused, Some(ReserveError::NoSpace));
    assert_eq!(ranges.take(0).err(), Some(TakeError::NoMatch));
    assert!(ranges.take_any().is_none());
    assert_eq!(ranges.entries(0, &mut [Default::default()]), 0);
}

#[test]
fn opens_once() {
    let mut ranges = open::<()>(4096);
    assert!(ranges.open(Ground::make(8192).unwrap()).is_some());
    assert_eq!(ranges.size(), 4096);
}

#[test]
fn what_does_not_fill_a_granule_is_left() {
    for size in 4096..4112 {
        assert_eq!(open::<()>(size).size(), size / 8 * 8);
    }
}

#[test]
fn whole_space_in_one_piece() {
    for size in [4096, USUAL, 4 << 20] {
        let mut ranges = open::<()>(size);
        for _ in 0..3 {
            let all = reserve(&mut ranges, &claim(size, CALLER)).unwrap();
            assert_eq!(all.start, 0);
            let more = reserve(&mut ranges, &claim(0, CALLER)).err();
            assert_eq!(more, Some(ReserveError::NoSpace));
            ranges.cancel(all.key);
            ranges.check();
        }
    }
}

#[test]
fn empty_parcels_have_addresses_of_their_own() {
    let mut ranges = open(USUAL);
    for at in 0..100u32 {
        let empty = reserve(&mut ranges, &claim(0, CALLER)).unwrap();
        assert_eq!(empty.start, at * 8);
        ranges.deliver(empty.key, at);
        assert_eq!(ranges.live(), at + 1);
    }
    for at in (0..100u32).rev() {
        let (key, _, payload) = ranges.take(at * 8).unwrap();
        assert_eq!(payload, at);
        ranges.release(key);
    }
    assert_eq!(ranges.live(), 0);
}

/// Fills a space with granules, frees them in an awkward order and does so again.
#[test]
fn granules_until_full() {
    let mut ranges = open(USUAL);
    for round in 0..2 {
        for at in 0..USUAL / 8 {
            let granule = reserve(&mut ranges, &claim(8, CALLER)).unwrap();
            ranges.deliver(granule.key, granule.start);
            assert!(round != 0 || granule.start == at * 8);
        }
        let full = reserve(&mut ranges, &claim(1, CALLER)).err();
        assert_eq!(full, Some(ReserveError::NoSpace));
        ranges.check();
        // Every second one, so that nothing can be merged; then those between.
        for first in [1, 0] {
            for at in (first..USUAL / 8).step_by(2) {
                let (key, _, start) = ranges.take(at * 8).unwrap();
                assert_eq!(start, at * 8);
                drop(ranges.release(key));
            }
            if first == 1 {
                let (gaps, live) = ranges.check();
                assert_eq!(gaps.len(), live.len());
                let two = reserve(&mut ranges, &claim(16, CALLER)).err();
                assert_eq!(two, Some(ReserveError::NoSpace));
            }
        }
        let (gaps, live) = ranges.check();
        assert_eq!((gaps, live), (vec![(0, USUAL)], vec![]));
    }
}

/// A gap that is in the same size class as a larger request, and one that just fits.
#[test]
fn tight_gaps_are_found() {
    let mut ranges = open::<()>(1 << 20);
    // Sizes of one class: 1024 to 1080 bytes.
    let mut gaps = Vec::new();
    for size in [1024, 1032, 1040, 1064, 1072, 1080] {
        gaps.push(reserve(&mut ranges, &claim(size, CALLER)).unwrap());
        reserve(&mut ranges, &claim(8, CALLER)).unwrap();
    }
    // Nothing else is left.
    let (left, _) = ranges.check();
    reserve(&mut ranges, &claim(left[0].1, CALLER)).unwrap();
    let starts: Vec<_> = gaps.iter().map(|gap| gap.start).collect();
    for gap in gaps {
        ranges.cancel(gap.key);
    }
    for (size, expected) in [
        (1048, 3),
        (1072, 4),
        (1080, 5),
        (1040, 2),
        (1032, 1),
        (1024, 0),
    ] {
        let fit = reserve(&mut ranges, &claim(size, CALLER)).unwrap();
        assert_eq!(fit.start, starts[expected], "{size}");
    }
    let none = reserve(&mut ranges, &claim(1024, CALLER)).err();
    assert_eq!(none, Some(ReserveError::NoSpace));
}

#[test]
fn room_for_oneway_buffers_is_half() {
    let mut ranges = open::<()>(USUAL);
    let half = reserve(&mut ranges, &claim(USUAL / 2, SPAMMER)).unwrap();
    assert_eq!(ranges.free_async(), 0);
    let more = reserve(&mut ranges, &claim(0, SPAMMER)).err();
    assert_eq!(more, Some(ReserveError::NoAsyncSpace));
    reserve(&mut ranges, &claim(USUAL / 2, CALLER)).unwrap();
    ranges.cancel(half.key);
    assert_eq!(ranges.free_async(), USUAL / 2);
}

/// Uses up `bytes` of the room for oneway buffers in the name of somebody else.
fn use_up(ranges: &mut Ranges<()>, bytes: u32) {
    let who = Who {
        sender: 99,
        oneway: true,
    };
    let big = reserve(ranges, &claim(bytes, who)).unwrap();
    assert!(!big.spam_suspect || bytes > ranges.size() / 4);
}

/// The one that exceeds fifty is suspected, once.
#[test]
fn fifty_buffers_are_no_spam() {
    let mut ranges = open::<()>(USUAL);
    use_up(&mut ranges, USUAL / 4);
    use_up(&mut ranges, USUAL / 4 - USUAL / 10 + 64);
    let suspects: Vec<_> = (1..=60)
        .filter(|_| {
            reserve(&mut ranges, &claim(0, SPAMMER))
                .unwrap()
                .spam_suspect
        })
        .collect();
    // The C driver does not count the new buffer itself when its place was never used before.
    assert_eq!(suspects, [52]);
}

/// Where somebody's buffer was, the new buffer of the same sender counts too.
#[test]
fn fifty_one_in_a_used_place() {
    let mut ranges = open::<()>(USUAL);
    use_up(&mut ranges, USUAL / 4);
    use_up(&mut ranges, USUAL / 4 - USUAL / 10 + 64);
    for _ in 0..50 {
        let buffer = reserve(&mut ranges, &claim(0, SPAMMER)).unwrap();
        assert!(!buffer.spam_suspect);
    }
    let was_here = reserve(&mut ranges, &claim(0, SPAMMER)).unwrap();
    assert!(!was_here.spam_suspect);
    ranges.cancel(was_here.key);
    assert!(
        reserve(&mut ranges, &claim(0, SPAMMER))
            .unwrap()
            .spam_suspect
    );
}

#[test]
fn a_quarter_is_no_spam_but_more_is() {
    let mut ranges = open::<()>(USUAL);
    use_up(&mut ranges, USUAL / 5);
    let quarter = reserve(&mut ranges, &claim(USUAL / 4, SPAMMER)).unwrap();
    assert!(!quarter.spam_suspect);
    let granule = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    assert!(!granule.spam_suspect);
    assert!(
        reserve(&mut ranges, &claim(8, SPAMMER))
            .unwrap()
            .spam_suspect
    );
    // Reported once, until there is room again.
    let last = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    assert!(!last.spam_suspect);
    ranges.cancel(quarter.key);
    assert!(
        !reserve(&mut ranges, &claim(8, SPAMMER))
            .unwrap()
            .spam_suspect
    );
    // In a place nobody used yet, so it does not count itself.
    let again = reserve(&mut ranges, &claim(USUAL / 4, SPAMMER)).unwrap();
    assert!(!again.spam_suspect);
    assert!(
        reserve(&mut ranges, &claim(8, SPAMMER))
            .unwrap()
            .spam_suspect
    );
}

/// Sizes for which a tenth and a quarter are whole granules.
const ROUND: u32 = 81920;

/// Another process that is not suspected of anything.
const OTHER: Who = Who {
    sender: 9,
    oneway: false,
};

/// A space in which the spammer has exactly a quarter, and little room is left. A further buffer
/// of its is suspected only if it counts itself: if the place it gets was the spammer's before.
fn on_the_edge() -> Ranges<()> {
    let mut ranges = open(ROUND);
    use_up(&mut ranges, ROUND / 2 - ROUND / 4 - 8000);
    let quarter = reserve(&mut ranges, &claim(ROUND / 4, SPAMMER)).unwrap();
    assert!(!quarter.spam_suspect);
    ranges
}

#[test]
fn a_tenth_is_enough_room() {
    for (left, suspect) in [(ROUND / 10, false), (ROUND / 10 - 8, true)] {
        let mut ranges = open::<()>(ROUND);
        use_up(&mut ranges, ROUND / 2 - ROUND / 4 - 8 - left - 8);
        reserve(&mut ranges, &claim(ROUND / 4 + 8, SPAMMER)).unwrap();
        let last = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
        assert_eq!(ranges.free_async(), left);
        assert_eq!(last.spam_suspect, suspect);
    }
}

#[test]
fn a_new_place_is_nobodys() {
    let mut ranges = on_the_edge();
    let buffer = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    assert!(!buffer.spam_suspect);
}

/// The rest at the end is whose the gap before it was.
#[test]
fn the_rest_remembers_the_gap_before() {
    let mut ranges = on_the_edge();
    let sync = Who {
        oneway: false,
        ..SPAMMER
    };
    let theirs = reserve(&mut ranges, &claim(8, sync)).unwrap();
    let others = reserve(&mut ranges, &claim(8, OTHER)).unwrap();
    ranges.cancel(theirs.key);
    ranges.cancel(others.key);
    let buffer = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    assert!(buffer.spam_suspect);
}

/// What is cut off a gap is nobody's, whatever its storage was used for.
#[test]
fn what_is_cut_off_is_nobodys() {
    let mut ranges = on_the_edge();
    let sync = Who {
        oneway: false,
        ..SPAMMER
    };
    let wide = reserve(&mut ranges, &claim(64, OTHER)).unwrap();
    reserve(&mut ranges, &claim(8, OTHER)).unwrap();
    let theirs = reserve(&mut ranges, &claim(8, sync)).unwrap();
    ranges.cancel(theirs.key);
    ranges.cancel(wide.key);
    let front = reserve(&mut ranges, &claim(8, OTHER)).unwrap();
    let buffer = reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    assert_eq!(buffer.start, front.start + 8);
    assert!(!buffer.spam_suspect);
}

/// Many senders, each with an account that comes and goes.
#[test]
fn thousands_of_senders() {
    let mut ranges = open::<()>(4 << 20);
    for round in 0..3 {
        let mut keys = Vec::new();
        for sender in 1..5000 {
            let who = Who {
                sender: round * 10_000 + sender,
                oneway: true,
            };
            if round != 0 {
                // The accounts of the round before are closed.
                match ranges.reserve(&claim(64, who)) {
                    Ok(buffer) => keys.push(buffer.key),
                    Err(ReserveError::Grow(Growth::Accounts(_))) => panic!("accounts leak"),
                    Err(_) => {}
                }
            }
            for _ in 0..3 {
                let buffer = reserve(&mut ranges, &claim(64, who)).unwrap();
                assert!(!buffer.spam_suspect);
                keys.push(buffer.key);
            }
        }
        for key in keys {
            ranges.cancel(key);
        }
        assert_eq!(ranges.free_async(), 2 << 20);
        ranges.check();
    }
}

/// More storage is asked for when there is not enough for a range and for what is cut off.
#[test]
fn all_blocks_but_one_are_used() {
    let mut ranges = open::<()>(USUAL);
    let (mut reserved, mut first) = (0, None);
    while reserved < 500 {
        match ranges.reserve(&claim(8, CALLER)) {
            Ok(_) => reserved += 1,
            Err(ReserveError::Grow(growth)) => {
                if let Growth::Blocks(blocks) = growth {
                    // Each chunk has twice as many as the one before; the first came with the space.
                    let first = *first.get_or_insert(blocks / 2);
                    assert_eq!(reserved, blocks - first - 1);
                }
                ranges.supply(Storage::make(growth).unwrap());
            }
            Err(refused) => panic!("{refused:?}"),
        }
    }
    assert!(first.is_some());
}

/// After a burst, storage is handed out to be dropped; the allocator goes on as before.
#[test]
fn surplus_is_given_back() {
    let mut ranges = open::<()>(USUAL);
    for _ in 0..3 {
        let keys: Vec<_> = (0..20_000)
            .map(|_| reserve(&mut ranges, &claim(8, CALLER)).unwrap().key)
            .collect();
        let handed_out = keys
            .into_iter()
            .filter_map(|key| ranges.cancel(key))
            .count();
        assert_eq!(handed_out, 1);
        ranges.check();
    }
}

/// Two who grow at once: the second one gets its storage back.
#[test]
fn storage_that_came_too_late() {
    let mut ranges = open::<()>(1 << 20);
    let growths = [Growth::Blocks(32), Growth::Leaf(0), Growth::Accounts(8)];
    for growth in growths {
        assert!(!matches!(
            ranges.reserve(&claim(8, CALLER)),
            Err(ReserveError::Grow(Growth::Accounts(_)))
        ));
        ranges.supply(Storage::make(growth).unwrap());
        ranges.supply(Storage::make(growth).unwrap());
    }
    for _ in 0..40 {
        reserve(&mut ranges, &claim(8, SPAMMER)).unwrap();
    }
    ranges.check();
}

/// A range whose storage can't be made is not reserved, and nothing is lost.
#[test]
fn no_memory() {
    let failed = crate::mem::with_budget(0, || {
        [
            Storage::<()>::make(Growth::Blocks(16)).is_err(),
            Storage::<()>::make(Growth::Leaf(0)).is_err(),
            Storage::<()>::make(Growth::Accounts(8)).is_err(),
            Ground::<()>::make(4096).is_err(),
        ]
    });
    assert_eq!(failed, [true; 4]);
}

/// Listing in portions gives each range once.
#[test]
fn listing_in_portions() {
    let mut ranges = open::<()>(USUAL);
    let mut keys: Vec<_> = (0..1000)
        .map(|at| reserve(&mut ranges, &claim(at % 300, CALLER)).unwrap().key)
        .collect();
    let mut at = 0;
    keys.retain_mut(|_| {
        at += 1;
        at % 3 != 0
    });
    let mut listed = Vec::new();
    let mut portion = [Default::default(); 7];
    let mut from = 0;
    loop {
        let count = ranges.entries(from, &mut portion);
        listed.extend(portion[..count].iter().map(|entry| entry.start));
        match portion[..count].last() {
            Some(last) => from = last.start + 1,
            None => break,
        }
    }
    let (_, mut live) = ranges.check();
    live.sort();
    let starts: Vec<_> = live.iter().map(|(start, _)| *start).collect();
    assert_eq!(listed, starts);
}
