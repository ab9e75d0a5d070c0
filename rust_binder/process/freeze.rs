// SPDX-License-Identifier: GPL-2.0

//! Requests to be told of freezing and thawing.
//!
//! A [`Freeze`] is owned by the reference for which it was requested, by the node whose owner it
//! watches, and by whichever queue of the watching process holds it. How far it is, changes with the
//! watcher's lock held; it has a lock of its own as well, the innermost one, which nobody waits for.

use super::{
    Inner,
    Process,
    Wakeup,
    Work, //
};
use crate::{
    abi::name::Cookie,
    object::freeze::{
        FreezeDelivery,
        FreezeState,
        FreezeWork, //
    },
    observe::census::{
        self,
        Count, //
    },
    sys::{
        queue::{
            Item,
            Queued, //
        },
        sleep::Wake, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        SpinLock, //
    }, //
};

/// A request to be told whether the owner of a node is frozen.
#[pin_data]
pub struct Freeze {
    /// By which user space recognises it.
    pub cookie: Cookie,
    watcher: Arc<Process>,
    _count: Count,
    #[pin]
    state: SpinLock<FreezeState>,
}

impl Queued for Freeze {
    type Work = Work;
    type Handle = Arc<Item<Freeze>>;

    fn into_work(handle: Self::Handle) -> Work {
        Work::Freeze(handle)
    }
}

impl Freeze {
    /// Makes a request of `watcher`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(watcher: &Arc<Process>, cookie: Cookie) -> Result<Arc<Item<Self>>> {
        Arc::pin_init(
            Item::pin_init(pin_init!(Self {
                cookie,
                watcher: watcher.clone(),
                _count: Count::new(census::Kind::Freeze),
                state <- kernel::new_spinlock!(FreezeState::new(), "Freeze::state"),
            })),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The owner of the node was frozen or thawed, or the request is new: tells the watcher.
    pub(super) fn changed(this: &Arc<Item<Self>>, is_frozen: bool) -> Wakeup {
        let mut watcher = this.watcher.lock();
        if watcher.is_dead {
            return Wakeup::none();
        }
        let work = this.state.lock().changed(is_frozen);
        Self::queue(this, &mut watcher, work)
    }

    /// The watcher no longer wants to know.
    pub(super) fn clear(this: &Arc<Item<Self>>) {
        let _wakeup;
        let mut watcher = this.watcher.lock();
        let work = this.state.lock().clear();
        _wakeup = Self::queue(this, &mut watcher, work);
        drop(watcher);
    }

    /// Whoever reads first gets it.
    fn queue(this: &Arc<Item<Self>>, watcher: &mut Inner, work: FreezeWork) -> Wakeup {
        match work {
            FreezeWork::Nothing => Wakeup::none(),
            FreezeWork::ToProcess => watcher.push::<Freeze>(this.clone(), Wake::Normal),
        }
    }

    /// A read took the request from a queue. The watcher's lock is held.
    pub fn deliver(&self) -> Option<FreezeDelivery> {
        self.state.lock().deliver()
    }

    /// A thread of the watcher confirms the oldest notification with `cookie`.
    ///
    /// Returns whether there was one.
    pub fn done(watcher: &Process, cookie: Cookie) -> bool {
        let found;
        let _wakeup;
        let mut inner = watcher.lock();
        found = inner
            .delivered_freezes
            .remove_first::<Freeze>(|freeze| freeze.cookie == cookie);
        let Some(freeze) = &found else {
            return false;
        };
        let work = freeze.state.lock().done();
        _wakeup = Self::queue(freeze, &mut inner, work);
        drop(inner);
        true
    }

    /// The reference is gone, and the request with it, without a word.
    pub(super) fn reference_gone(this: &Arc<Item<Self>>) {
        let removed;
        let mut watcher = this.watcher.lock();
        let gone = this.state.lock().reference_gone();
        removed = match gone {
            true => watcher.unqueue_freeze(this),
            false => None,
        };
        drop(watcher);
        drop(removed);
    }
}
