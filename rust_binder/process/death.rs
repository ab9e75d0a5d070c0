// SPDX-License-Identifier: GPL-2.0

//! Death notifications.
//!
//! A [`Death`] is owned by the reference for which it was requested, by the node that it watches,
//! and by whichever queue of the watching process holds it. How far it is, is guarded by a lock of
//! its own, the innermost one.

use super::{
    Process,
    ThreadKey,
    Wakeup,
    Work, //
};
use crate::{
    abi::name::Cookie,
    object::death::{
        AlreadyCleared,
        DeathState,
        DeathWork,
        Delivery,
        Linked, //
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

/// A request to be told that the owner of a node died.
#[pin_data]
pub struct Death {
    /// By which user space recognises it.
    pub cookie: Cookie,
    watcher: Arc<Process>,
    _count: Count,
    #[pin]
    state: SpinLock<DeathState>,
}

impl Queued for Death {
    type Work = Work;
    type Handle = Arc<Item<Death>>;

    fn into_work(handle: Self::Handle) -> Work {
        Work::Death(handle)
    }
}

impl Death {
    /// Makes a registration of `watcher`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(watcher: &Arc<Process>, cookie: Cookie) -> Result<Arc<Item<Self>>> {
        let (state, _) = DeathState::new(false);
        Arc::pin_init(
            Item::pin_init(pin_init!(Self {
                cookie,
                watcher: watcher.clone(),
                _count: Count::new(census::Kind::Death),
                state <- kernel::new_spinlock!(state, "Death::state"),
            })),
            GFP_KERNEL_ACCOUNT,
        )
    }

    /// The owner of the node is gone: tells the watcher, unless it has lost interest.
    pub fn node_died(this: &Arc<Item<Self>>) {
        let _wakeup;
        let mut watcher = this.watcher.lock();
        if watcher.is_dead {
            return;
        }
        let work = this.state.lock().node_died();
        _wakeup = match work {
            Some(_) => watcher.push::<Death>(this.clone(), Wake::Normal),
            None => Wakeup::none(),
        };
        drop(watcher);
    }

    /// The watcher's thread `thread` no longer wants to know.
    pub fn clear(this: &Arc<Item<Self>>, thread: ThreadKey) -> Result<(), AlreadyCleared> {
        let _wakeup;
        let mut watcher = this.watcher.lock();
        let work = this.state.lock().clear()?;
        _wakeup = Self::queue_confirmation(this, &mut watcher, thread, work);
        drop(watcher);
        Ok(())
    }

    /// A looper gets the confirmation itself, everybody else's goes to whoever reads first.
    fn queue_confirmation(
        this: &Arc<Item<Self>>,
        watcher: &mut super::Inner,
        thread: ThreadKey,
        work: Option<DeathWork>,
    ) -> Wakeup {
        if work.is_none() {
            return Wakeup::none();
        }
        match watcher.thread(thread).filter(|thread| thread.is_looper()) {
            Some(thread) => {
                thread.push_own_item::<Death>(this.clone());
                Wakeup::none()
            }
            None => watcher.push::<Death>(this.clone(), Wake::Normal),
        }
    }

    /// A read took the notification from a queue. The watcher's lock is held.
    pub fn deliver(&self) -> Option<Delivery> {
        self.state.lock().deliver()
    }

    /// The watcher's thread `thread` confirms the oldest notification with `cookie`.
    ///
    /// Returns whether there was one.
    pub fn done(watcher: &Process, thread: ThreadKey, cookie: Cookie) -> bool {
        let found;
        let _wakeup;
        let mut inner = watcher.lock();
        found = inner
            .delivered_deaths
            .remove_first::<Death>(|death| death.cookie == cookie);
        let Some(death) = &found else {
            return false;
        };
        let work = death.state.lock().done().unwrap_or(None);
        _wakeup = Self::queue_confirmation(death, &mut inner, thread, work);
        drop(inner);
        true
    }

    /// The reference is gone, and the registration with it, without a word.
    pub fn reference_gone(this: &Arc<Item<Self>>) {
        let removed;
        let mut watcher = this.watcher.lock();
        removed = match this.state.lock().reference_gone() {
            Linked::Nowhere => None,
            _ => watcher.unqueue_death(this),
        };
        drop(watcher);
        drop(removed);
    }
}
