// SPDX-License-Identifier: GPL-2.0

//! How much each sender has outstanding in oneway buffers.
//!
//! Only to tell spammers: looked at when room for oneway buffers is short. Kept up to date at each
//! oneway buffer instead of being counted on demand, because counting means a walk over everything
//! that is outstanding, which is long exactly when somebody spams.

use crate::mem::{
    self,
    NoMemory,
    Vec, //
};
use core::num::NonZeroU32;

/// Accounts in the first table.
const FIRST: u32 = 8;

/// The place of an account in the table, counted from one. Changes when the table grows, unlike
/// the place of a block, but only in the sense that the table moves: the number stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AccountIndex(NonZeroU32);

/// One sender's account, and a bucket of the hash table, which has as many buckets as accounts.
#[derive(Clone, Copy)]
pub(super) struct Account {
    sender: i32,
    pub(super) ranges: u32,
    pub(super) bytes: u32,
    /// The next account in the same bucket, or the next unused one.
    next: Option<AccountIndex>,
    /// The first account of the bucket with this number.
    bucket: Option<AccountIndex>,
}

impl Account {
    const NONE: Account = Account {
        sender: 0,
        ranges: 0,
        bytes: 0,
        next: None,
        bucket: None,
    };
}

/// The accounts.
///
/// # Invariants
///
/// The length of the table is zero or a power of two. Each account with `ranges != 0` is in the
/// bucket of its sender; all others are on the list that starts at `unused`.
pub(super) struct Accounts {
    table: Vec<Account>,
    unused: Option<AccountIndex>,
}

impl Accounts {
    pub(super) const fn new() -> Self {
        Self {
            table: Vec::new(),
            unused: None,
        }
    }

    /// Whether another account can be opened.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.unused.is_some()
    }

    /// How long the next table is.
    pub(super) fn next_len(&self) -> u32 {
        FIRST.max((self.table.len() as u32).wrapping_mul(2))
    }

    /// Makes the storage of a table. May sleep.
    pub(super) fn make_table(len: u32) -> Result<Vec<Account>, NoMemory> {
        mem::filled(Account::NONE, len as usize)
    }

    /// Moves into a larger table. What is left over is handed back.
    pub(super) fn grow(&mut self, table: Vec<Account>) -> Vec<Account> {
        if table.len() != self.next_len() as usize {
            return table;
        }
        let old = core::mem::replace(&mut self.table, table);
        for (new, old) in self.table.iter_mut().zip(old.iter()) {
            *new = Account {
                bucket: None,
                ..*old
            };
        }
        self.unused = None;
        let len = self.table.len() as u32;
        for number in (1..=len).rev() {
            let Some(at) = NonZeroU32::new(number).map(AccountIndex) else {
                continue;
            };
            match self.get(at).map(|account| (account.ranges, account.sender)) {
                Some((0, _)) => self.set_unused(at),
                Some((_, sender)) => self.link(at, sender),
                None => {}
            }
        }
        old
    }

    #[inline]
    pub(super) fn get(&self, at: AccountIndex) -> Option<&Account> {
        self.table.get(at.0.get().wrapping_sub(1) as usize)
    }

    #[inline]
    fn get_mut(&mut self, at: AccountIndex) -> Option<&mut Account> {
        self.table.get_mut(at.0.get().wrapping_sub(1) as usize)
    }

    #[inline]
    fn bucket(&mut self, sender: i32) -> Option<&mut Option<AccountIndex>> {
        let mask = self.table.len().wrapping_sub(1);
        Some(&mut self.table.get_mut(sender as usize & mask)?.bucket)
    }

    fn link(&mut self, at: AccountIndex, sender: i32) {
        let Some(next) = self
            .bucket(sender)
            .map(|bucket| core::mem::replace(bucket, Some(at)))
        else {
            return;
        };
        if let Some(account) = self.get_mut(at) {
            account.next = next;
        }
    }

    fn set_unused(&mut self, at: AccountIndex) {
        let next = self.unused;
        if let Some(account) = self.get_mut(at) {
            account.next = next;
            self.unused = Some(at);
        }
    }

    /// The account of this sender.
    #[inline]
    pub(super) fn find(&self, sender: i32) -> Option<AccountIndex> {
        let mask = self.table.len().wrapping_sub(1);
        let mut at = self.table.get(sender as usize & mask)?.bucket;
        while let Some(index) = at {
            let account = self.get(index)?;
            if account.sender == sender {
                return Some(index);
            }
            at = account.next;
        }
        None
    }

    /// Opens an account for a sender that has none.
    pub(super) fn open(&mut self, sender: i32) -> Option<AccountIndex> {
        let at = self.unused?;
        let account = self.get_mut(at)?;
        let next = account.next;
        account.sender = sender;
        self.unused = next;
        self.link(at, sender);
        Some(at)
    }

    /// Books a range on an account.
    #[inline]
    pub(super) fn charge(&mut self, at: AccountIndex, size: u32) {
        if let Some(account) = self.get_mut(at) {
            account.ranges = account.ranges.wrapping_add(1);
            account.bytes = account.bytes.wrapping_add(size);
        }
    }

    /// Takes a range off an account, and closes it with the last one.
    #[inline]
    pub(super) fn discharge(&mut self, at: AccountIndex, size: u32) {
        let Some(account) = self.get_mut(at) else {
            return;
        };
        account.ranges = account.ranges.wrapping_sub(1);
        account.bytes = account.bytes.wrapping_sub(size);
        if account.ranges == 0 {
            self.close(at);
        }
    }

    fn close(&mut self, at: AccountIndex) {
        let Some((sender, next)) = self.get(at).map(|account| (account.sender, account.next))
        else {
            return;
        };
        let mut link = self.bucket(sender).and_then(|bucket| *bucket);
        if link == Some(at) {
            if let Some(bucket) = self.bucket(sender) {
                *bucket = next;
            }
        } else {
            while let Some(account) = link.and_then(|link| self.get_mut(link)) {
                if account.next == Some(at) {
                    account.next = next;
                    break;
                }
                link = account.next;
            }
        }
        self.set_unused(at);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Accounts,
        FIRST, //
    };

    #[test]
    fn an_account_closes_alone() {
        // They share a bucket of the first table.
        let senders = [1, 2, 3].map(|number| number * FIRST as i32);
        for closed in senders {
            let mut accounts = Accounts::new();
            let table = Accounts::make_table(accounts.next_len()).expect("memory");
            drop(accounts.grow(table));
            for sender in senders {
                let at = accounts.open(sender).expect("there is room");
                accounts.charge(at, 8);
            }
            let at = accounts.find(closed).expect("it is open");
            accounts.discharge(at, 8);
            for sender in senders {
                assert_eq!(accounts.find(sender).is_some(), sender != closed);
            }
        }
    }
}
