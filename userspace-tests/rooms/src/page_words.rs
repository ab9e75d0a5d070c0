// SPDX-License-Identifier: GPL-2.0

//! Page words: step by step, and all interleavings of users, an installer and the shrinker.

use crate::page_word::{Age, Entered, PageWord, Word};

#[cfg(feature = "loom")]
use loom::sync::atomic::AtomicUsize;
#[cfg(not(feature = "loom"))]
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A word over the standard library, or over the model checker.
struct HostWord(AtomicUsize);

impl Word for HostWord {
    fn zero() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn load(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn load_acquire(&self) -> usize {
        self.0.load(Acquire)
    }

    fn add_acquire(&self, value: usize) -> usize {
        self.0.fetch_add(value, Acquire)
    }

    fn add_release(&self, value: usize) {
        self.0.fetch_add(value, Release);
    }

    fn sub_release(&self, value: usize) {
        self.0.fetch_sub(value, Release);
    }

    fn replace_acquire(&self, old: usize, new: usize) -> Result<(), usize> {
        self.0
            .compare_exchange(old, new, Acquire, Relaxed)
            .map(|_| ())
    }
}

type Page = PageWord<HostWord, 12>;

#[cfg(not(feature = "loom"))]
mod steps {
    use super::*;

    #[test]
    fn from_absent_to_old_and_away() {
        let page = Page::new();
        assert_eq!(page.age(), Age::Absent);
        assert_eq!(page.claim(true), None);

        assert_eq!(page.enter(), Entered::Missing);
        assert_eq!(page.age(), Age::Absent);
        assert_eq!(page.address(), None);
        assert!(page.install(0x5000));
        assert_eq!(page.address().unwrap().get(), 0x5000);
        assert_eq!(page.age(), Age::InUse);
        assert_eq!(page.claim(true), None);

        assert_eq!(page.enter(), Entered::There);
        page.leave();
        assert_eq!(page.age(), Age::InUse);
        page.leave();

        assert_eq!(page.claim(false), None);
        assert_eq!(page.age(), Age::Young);
        assert_eq!(page.age(), Age::Old);
        assert_eq!(page.claim(false).unwrap().get(), 0x5000);
        assert_eq!(page.age(), Age::Absent);
        assert_eq!(page.address(), None);
    }

    #[test]
    fn use_makes_young_again() {
        let page = Page::new();
        page.enter();
        page.install(0x1000);
        page.leave();
        assert_eq!(page.age(), Age::Young);
        assert_eq!(page.enter(), Entered::There);
        page.leave();
        assert_eq!(page.claim(false), None);
        assert_eq!(page.age(), Age::Young);
        assert_eq!(page.claim(true).unwrap().get(), 0x1000);
    }

    #[test]
    fn one_page_at_a_time_and_only_pages() {
        let page = Page::new();
        assert!(!page.install(0x1008));
        assert!(!page.install(0x1800));
        assert!(page.install(0x1000));
        assert!(!page.install(0x2000));
        assert_eq!(page.address().unwrap().get(), 0x1000);
    }

    #[test]
    fn as_many_users_as_granules() {
        let page = Page::new();
        page.install(0x1000);
        for _ in 0..4096 / 8 {
            assert_eq!(page.enter(), Entered::There);
        }
        assert_eq!(page.address().unwrap().get(), 0x1000);
        for _ in 0..4096 / 8 {
            assert_eq!(page.age(), Age::InUse);
            page.leave();
        }
        assert_eq!(page.age(), Age::Young);
    }

    /// Far more users than a space can have do not spoil the word.
    #[test]
    fn a_crowd_is_refused() {
        let page = Page::new();
        page.install(0x1000);
        let users = (0..100_000)
            .filter(|_| page.enter() == Entered::There)
            .count();
        assert_eq!(users, 1024);
        assert_eq!(page.address().unwrap().get(), 0x1000);
        for _ in 0..users {
            assert_eq!(page.age(), Age::InUse);
            page.leave();
        }
        assert_eq!(page.age(), Age::Young);
        assert_eq!(page.age(), Age::Old);
        assert_eq!(page.enter(), Entered::There);
    }

    #[test]
    fn failed_install_leaves_nothing() {
        let page = Page::new();
        page.enter();
        page.leave();
        assert_eq!(page.age(), Age::Absent);
        assert_eq!(page.peek(), Age::Absent);
        assert!(page.install(0x3000));
        assert_eq!(page.peek(), Age::Old);
    }
}

/// The protocol of `sys::pages`: words change hands under a mutex; users enter and leave without.
#[cfg(feature = "loom")]
mod interleavings {
    use super::*;
    use loom::{
        cell::UnsafeCell,
        sync::{Arc, Mutex},
        thread,
    };

    /// Two pages, so that memory that is freed and allocated again is not taken for the old one.
    const ADDRESSES: [usize; 2] = [0x1000, 0x2000];

    struct Bed {
        word: Page,
        /// Which pages are free, as the page allocator and the mutex of the space see it.
        free: Mutex<Vec<usize>>,
        /// The content of each page. Any unordered access makes the checker fail.
        content: [UnsafeCell<u32>; 2],
    }

    fn slot(address: usize) -> usize {
        address / 0x1000 - 1
    }

    impl Bed {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                word: Page::new(),
                free: Mutex::new(ADDRESSES.to_vec()),
                content: Default::default(),
            })
        }

        /// What `Pages::pin`, a write and `Pages::unpin` do.
        fn use_once(&self, exclusive: bool) {
            if self.word.enter() == Entered::Missing {
                let mut free = self.free.lock().unwrap();
                if self.word.address().is_none() {
                    let address = free.pop().unwrap();
                    self.content[slot(address)].with_mut(|_| ());
                    assert!(self.word.install(address));
                }
            }
            let address = self.word.address().expect("a page stays while it is used");
            let content = &self.content[slot(address.get())];
            if exclusive {
                content.with_mut(|_| ());
            } else {
                content.with(|_| ());
            }
            self.word.leave();
        }

        /// What the shrinker does with the page.
        fn shrink(&self) {
            if self.word.age() != Age::Old {
                return;
            }
            let mut free = self.free.lock().unwrap();
            if let Some(address) = self.word.claim(false) {
                // Freed: nobody may touch it any more, and whoever gets it next may.
                self.content[slot(address.get())].with_mut(|_| ());
                free.push(address.get());
            }
        }

        /// What the end of the space does with the page: there is no user any more.
        fn end(&self) {
            let mut free = self.free.lock().unwrap();
            if let Some(address) = self.word.claim(true) {
                self.content[slot(address.get())].with_mut(|_| ());
                free.push(address.get());
            }
        }
    }

    /// Nobody asks for a page again when its space has ended.
    #[test]
    fn no_page_outlives_its_space() {
        loom::model(|| {
            let bed = Bed::new();
            bed.use_once(true);
            let shrinkers: Vec<_> = (0..2)
                .map(|_| {
                    let bed = bed.clone();
                    thread::spawn(move || bed.shrink())
                })
                .collect();
            bed.end();
            assert_eq!(bed.word.peek(), Age::Absent);
            for shrinker in shrinkers {
                shrinker.join().unwrap();
            }
            assert_eq!(bed.free.lock().unwrap().len(), 2);
        });
    }

    #[test]
    fn user_and_shrinker() {
        loom::model(|| {
            let bed = Bed::new();
            bed.use_once(true);
            let other = bed.clone();
            let user = thread::spawn(move || other.use_once(true));
            for _ in 0..3 {
                bed.shrink();
            }
            user.join().unwrap();
            bed.use_once(true);
        });
    }

    #[test]
    fn two_installers() {
        loom::model(|| {
            let bed = Bed::new();
            let other = bed.clone();
            let user = thread::spawn(move || other.use_once(false));
            bed.use_once(false);
            user.join().unwrap();
            assert_eq!(bed.free.lock().unwrap().len(), 1);
        });
    }

    #[test]
    fn two_users_and_shrinker() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(|| {
            let bed = Bed::new();
            bed.use_once(false);
            bed.shrink();
            let users: Vec<_> = (0..2)
                .map(|_| {
                    let bed = bed.clone();
                    thread::spawn(move || bed.use_once(false))
                })
                .collect();
            bed.shrink();
            bed.shrink();
            for user in users {
                user.join().unwrap();
            }
            while bed.word.peek() != Age::Absent {
                bed.shrink();
            }
            assert_eq!(bed.free.lock().unwrap().len(), 2);
        });
    }
}
