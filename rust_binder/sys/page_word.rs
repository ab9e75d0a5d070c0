// SPDX-License-Identifier: GPL-2.0

//! One page of a space, in one word.
//!
//! The word holds the address of the page, how many buffers touch it, and a mark "used since the
//! shrinker last looked". So using a page that is already there costs one atomic addition when
//! the buffer comes and one when it goes, and nothing is moved on any list:
//!
//! ```text
//!  63                           PAGE_SHIFT   PAGE_SHIFT-1   PAGE_SHIFT-2   0
//! | address of the page, 0: no page       |  used         |  users          |
//! ```
//!
//! | state  | page | users | used | what may happen                                               |
//! |--------|------|-------|------|---------------------------------------------------------------|
//! | absent | no   | 0     | any  | a user may [`enter`](PageWord::enter)                         |
//! | wanted | no   | > 0   | any  | [`install`](PageWord::install), under the lock                |
//! | in use | yes  | > 0   | any  | more may enter, each may [`leave`](PageWord::leave)           |
//! | young  | yes  | 0     | yes  | [`age`](PageWord::age) takes the mark away                    |
//! | old    | yes  | 0     | no   | [`claim`](PageWord::claim), under the lock, takes the page    |
//!
//! Only installing and claiming change the address, and both happen under a lock that the owner
//! of the word has for that. Entering, leaving and ageing take no lock.
//!
//! There is room for all users: a buffer that touches a page takes at least eight bytes of it, so
//! there are at most `PAGE_SIZE / 8`. More than twice as many are refused, whoever they are.
//!
//! This is a pure module: it runs in the kernel, on a host and under a model checker.

use core::num::NonZeroUsize;

/// A word of memory that several threads change.
pub(crate) trait Word {
    /// A word of zero.
    fn zero() -> Self;
    /// Reads it.
    fn load(&self) -> usize;
    /// Reads it. What its publishers did is visible.
    fn load_acquire(&self) -> usize;
    /// Adds to it and returns what it was. What its publishers did is visible.
    fn add_acquire(&self, value: usize) -> usize;
    /// Adds to it. What was done before is published.
    fn add_release(&self, value: usize);
    /// Subtracts from it. What was done before is published.
    fn sub_release(&self, value: usize);
    /// Replaces `old` by `new`; tells what is there otherwise. On success, what its publishers did
    /// is visible.
    fn replace_acquire(&self, old: usize, new: usize) -> Result<(), usize>;
}

/// What a user finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    /// There is a page.
    There,
    /// There is none: the user has to install it, or to wait for whoever does.
    Missing,
    /// There are too many users: this one is none.
    Refused,
}

/// What the shrinker finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// No page.
    Absent,
    /// A page that buffers touch.
    InUse,
    /// A page that was used since the last look.
    Young,
    /// A page that was not.
    Old,
}

/// The state of a page of `1 << SHIFT` bytes.
pub(crate) struct PageWord<W, const SHIFT: usize>(W);

impl<W: Word, const SHIFT: usize> PageWord<W, SHIFT> {
    /// Set when a user enters, cleared when the shrinker looks.
    const USED: usize = 1 << (SHIFT - 1);
    /// The number of users.
    const USERS: usize = Self::USED - 1;
    /// Set in a number of users that is too large: far below the one that does not fit.
    const CROWD: usize = 1 << (SHIFT - 2);
    /// The address.
    const ADDRESS: usize = !(Self::USED | Self::USERS);

    /// No page, no users.
    pub(crate) fn new() -> Self {
        Self(W::zero())
    }

    /// Becomes a user of the page, unless there are absurdly many.
    #[inline]
    pub(crate) fn enter(&self) -> Entered {
        // Acquire: the page was prepared before it was installed.
        let word = self.0.add_acquire(1);
        if word & (Self::USED | Self::CROWD) != Self::USED && !self.enter_slowly(word) {
            return Entered::Refused;
        }
        if word & Self::ADDRESS != 0 {
            Entered::There
        } else {
            Entered::Missing
        }
    }

    /// Sets the mark, or refuses the user.
    #[cold]
    fn enter_slowly(&self, word: usize) -> bool {
        if word & Self::CROWD != 0 {
            self.leave();
            return false;
        }
        // If that fails, others are busy with the page. They are users too, and one of them marks
        // it; if not, it counts as unused for once.
        let word = self.0.load();
        let _ = self.0.replace_acquire(word, word | Self::USED);
        true
    }

    /// Stops being a user.
    #[inline]
    pub(crate) fn leave(&self) {
        // Release: whoever claims the page later sees that all accesses are done.
        self.0.sub_release(1);
    }

    /// The address of the page. It stays while the caller is a user of it.
    #[inline]
    pub(crate) fn address(&self) -> Option<NonZeroUsize> {
        // Acquire: see `enter`, for a user who came before the page.
        NonZeroUsize::new(self.0.load_acquire() & Self::ADDRESS)
    }

    /// Puts a page in, which must be absent. The caller has the lock.
    ///
    /// Returns whether that was done: not so if `address` is not the address of a page, or if
    /// there is a page already.
    pub(crate) fn install(&self, address: usize) -> bool {
        if address & !Self::ADDRESS != 0 || self.address().is_some() {
            return false;
        }
        // Only installers add to this part of the word, and they have the lock. Release: see
        // `enter`.
        self.0.add_release(address);
        true
    }

    /// Looks at the page, and takes its mark away if nobody uses it.
    pub(crate) fn age(&self) -> Age {
        let word = self.0.load();
        if word & Self::ADDRESS == 0 {
            return Age::Absent;
        }
        if word & Self::USERS != 0 {
            return Age::InUse;
        }
        if word & Self::USED == 0 {
            return Age::Old;
        }
        match self.0.replace_acquire(word, word & !Self::USED) {
            Ok(()) => Age::Young,
            // Somebody has just come, or somebody else is looking at the page.
            Err(_) => Age::InUse,
        }
    }

    /// Looks at the page without changing anything. There is no telling old pages from young ones.
    pub(crate) fn peek(&self) -> Age {
        let word = self.0.load();
        if word & Self::ADDRESS == 0 {
            Age::Absent
        } else if word & Self::USERS != 0 {
            Age::InUse
        } else {
            Age::Old
        }
    }

    /// Takes the page out, if nobody uses it, and, unless `young` is set, nobody did since the
    /// last look. The caller has the lock and owns the page from then on.
    pub(crate) fn claim(&self, young: bool) -> Option<NonZeroUsize> {
        let mut word = self.0.load();
        loop {
            if word & Self::USERS != 0 || (word & Self::USED != 0 && !young) {
                return None;
            }
            let address = NonZeroUsize::new(word & Self::ADDRESS)?;
            // Acquire: see `leave`. A user who comes in between makes this fail, and so does
            // whoever takes the mark away: `age` takes no lock. What there is then decides anew,
            // for nobody may come by again: a space that ends asks once for each page. A user who
            // comes later finds no page.
            match self.0.replace_acquire(word, 0) {
                Ok(()) => return Some(address),
                Err(now) => word = now,
            }
        }
    }
}
