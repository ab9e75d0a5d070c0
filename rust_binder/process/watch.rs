// SPDX-License-Identifier: GPL-2.0

//! Who wants to know what becomes of a node's owner.
//!
//! The list belongs to the node and is guarded by the node's lock. A watcher is in it from its
//! request on, until the request is taken back, the reference is gone or the owner has died.

use super::{
    Death,
    Node,
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

/// The watchers of one node.
pub(super) type Watchers = Slab<Arc<Item<Death>>>;

impl Node {
    /// Registers `death`. `None` if the owner is gone already.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn watch(this: &Arc<Item<Node>>, death: &Arc<Item<Death>>) -> Result<Option<slab::Key>> {
        let mut watcher = death.clone();
        loop {
            let growth = {
                let mut inner = this.inner.lock();
                if this.is_dead() {
                    return Ok(None);
                }
                match inner.watchers.insert(watcher) {
                    Ok(key) => return Ok(Some(key)),
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

    /// Ends a registration.
    pub fn unwatch(&self, key: slab::Key) -> Option<Arc<Item<Death>>> {
        self.inner.lock().watchers.remove(key)
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
        for (_, death) in watchers.iter() {
            Death::node_died(death);
        }
        queue
    }
}
