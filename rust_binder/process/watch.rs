// SPDX-License-Identifier: GPL-2.0

//! Who wants to know what becomes of a node's owner.
//!
//! The list belongs to the node and is guarded by the node's lock. A watcher is in it from its
//! request on, until the request is taken back, the reference is gone or the owner has died.

use super::{
    Death,
    Freeze,
    Node,
    Wakeup,
    Work, //
};
use crate::{
    object::slab::{
        self,
        Slab, //
    },
    sys::queue::{
        Item,
        Queue, //
    },
};
use kernel::{
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    }, //
};

/// One who wants to know.
pub enum Watcher {
    /// When the owner dies.
    Death(Arc<Item<Death>>),
    /// Whether the owner is frozen.
    Freeze(Arc<Item<Freeze>>),
}

/// The watchers of one node.
pub(super) type Watchers = Slab<Watcher>;

impl Node {
    /// Adds `watcher`. `None` if the owner is gone already.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn watch(this: &Arc<Item<Node>>, watcher: Watcher) -> Result<Option<slab::Key>> {
        let mut watcher = watcher;
        loop {
            let growth = {
                let _wakeup;
                let mut inner = this.inner.lock();
                if this.is_dead() {
                    return Ok(None);
                }
                match inner.watchers.insert(watcher) {
                    Ok(key) => {
                        _wakeup = this.tell_state(inner.watchers.get(key));
                        return Ok(Some(key));
                    }
                    Err(returned) => watcher = returned,
                }
                inner.watchers.growth()
            };
            if let Some(growth) = growth {
                let room = growth.allocate()?;
                let rest = this.inner.lock().watchers.grow(room);
                drop(rest);
            }
        }
    }

    /// Tells a watcher whether the owner is frozen, if that is what it wants to know. The node is
    /// locked: whoever tells it last knows best.
    fn tell_state(&self, watcher: Option<&Watcher>) -> Wakeup {
        match watcher {
            Some(Watcher::Freeze(freeze)) => {
                let is_frozen = self.owner.lock().freezer.is_frozen();
                Freeze::changed(freeze, is_frozen)
            }
            _ => Wakeup::none(),
        }
    }

    /// Removes a watcher.
    pub fn unwatch(&self, key: slab::Key) -> Option<Watcher> {
        self.inner.lock().watchers.remove(key)
    }

    /// The owner was frozen or thawed. Whoever begins to watch from now on knows.
    pub(super) fn owner_changed(&self) {
        let mut place = None;
        while self.tell_next_freeze(&mut place) {}
    }

    /// Tells the next behind `place` who wants to know whether the owner is frozen; `false` if there
    /// is none.
    fn tell_next_freeze(&self, place: &mut Option<slab::Key>) -> bool {
        let _wakeup;
        let inner = self.inner.lock();
        loop {
            let Some((key, watcher)) = inner.watchers.after(*place) else {
                return false;
            };
            *place = Some(key);
            if let Watcher::Freeze(_) = watcher {
                _wakeup = self.tell_state(Some(watcher));
                return true;
            }
        }
    }

    /// The owner is gone. Returns the oneway messages that it will not get.
    pub fn owner_died(this: &Arc<Item<Node>>) -> Queue<Work> {
        let (queue, work, watchers) = {
            let mut inner = this.inner.lock();
            let queued = inner.counts.owner_died(&this.strong);
            inner.detached = true;
            this.dead.store(true, Relaxed);
            let work = queued.then(|| this.owner.lock().unqueue_node(this));
            let watchers = core::mem::replace(&mut inner.watchers, Watchers::new());
            (inner.oneways.take_waiting(), work, watchers)
        };
        drop(work);
        for (_, watcher) in watchers.iter() {
            if let Watcher::Death(death) = watcher {
                Death::node_died(death);
            }
        }
        queue
    }
}
