// SPDX-License-Identifier: GPL-2.0

//! Contexts: worlds of their own in which handle 0 means one and the same node.
//!
//! Every device has a context; it lives as long as the device or an open file of it.

use super::{
    Node,
    Registry, //
};
use crate::{
    buffer::PageReclaimer,
    sys::queue::Item, //
};
use kernel::{
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
    task::Kuid, //
};

/// The world of one device.
#[pin_data]
pub struct Context {
    /// Gives memory of the context's processes back when the system runs short.
    pub reclaimer: Arc<PageReclaimer>,
    /// The processes of all contexts.
    pub registry: Arc<Registry>,
    #[pin]
    manager: Mutex<Manager>,
}

/// The context manager. Guarded by the outermost lock of the driver.
pub struct Manager {
    /// The node behind handle 0, if there is one.
    pub node: Option<Arc<Item<Node>>>,
    /// Who became manager first. From then on only that user may, even after the manager died.
    pub uid: Option<Kuid>,
}

impl Context {
    /// Makes a context without a manager.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(reclaimer: Arc<PageReclaimer>, registry: Arc<Registry>) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                reclaimer,
                registry,
                manager <- kernel::new_mutex!(Manager { node: None, uid: None }, "Context::manager"),
            }),
            GFP_KERNEL,
        )
    }

    /// Locks the manager.
    #[inline]
    pub fn manager(
        &self,
    ) -> kernel::sync::lock::Guard<'_, Manager, kernel::sync::lock::mutex::MutexBackend> {
        self.manager.lock()
    }

    /// The node behind handle 0.
    #[inline]
    pub fn manager_node(&self) -> Option<Arc<Item<Node>>> {
        self.manager.lock().node.clone()
    }
}
