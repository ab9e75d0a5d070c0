// SPDX-License-Identifier: GPL-2.0

//! Verifies the invariants of a [`Ranges`], for tests.

use super::{
    slab::State,
    Ranges, //
};

impl<T> Ranges<T> {
    /// Panics if an invariant does not hold. Returns the gaps, the tail included if it is not
    /// empty, and the live ranges: start and size of each.
    pub(crate) fn check(&self) -> (Vec<(u32, u32)>, Vec<(u32, u32)>) {
        let mut gaps = Vec::new();
        let mut live = Vec::new();
        let mut booked = 0;
        let mut end = self.tail;
        let mut next = None;
        let mut at = self.last;
        let mut blocks = 0;
        if end != self.size {
            gaps.push((end, self.size - end));
        }
        while let Some(index) = at {
            let block = self.slab.get(index).expect("a linked block exists");
            blocks += 1;
            assert_eq!(block.next, next, "links go both ways");
            assert_eq!(block.start + block.size, end, "blocks have no holes");
            assert!(block.size >= 8 && block.size % 8 == 0);
            match block.state {
                State::Vacant { .. } => panic!("a vacant slot is linked"),
                State::Free { .. } => {
                    assert!(next.is_some(), "the last block is no gap");
                    assert!(
                        self.slab.gap(next).is_none(),
                        "neighbouring gaps are merged"
                    );
                    gaps.push((block.start, block.size));
                    assert_eq!(self.starts.find(&self.slab, block.start), None);
                }
                _ => {
                    live.push((block.start, block.size));
                    assert_eq!(self.starts.find(&self.slab, block.start), Some(index));
                    assert_eq!(self.starts.find_from(&self.slab, block.start), Some(index));
                    if block.details.account.is_some() {
                        booked += block.size;
                    }
                }
            }
            end = block.start;
            next = at;
            at = block.prev;
        }
        assert_eq!(end, 0, "blocks begin at the beginning");
        assert_eq!(self.live as usize, live.len());
        assert_eq!(self.free_async, self.size / 2 - booked);
        assert_eq!(self.slab.occupied(), blocks);
        let listed = self.classes.check(&self.slab);
        assert_eq!(
            listed,
            gaps.iter().filter(|(start, _)| *start < self.tail).count(),
            "all gaps are listed"
        );
        (gaps, live)
    }
}
