// SPDX-License-Identifier: GPL-2.0

//! Which processes there are.
//!
//! The module has one [`Registry`], made when it is loaded and shared by all contexts, because a
//! process is frozen in all of them at once. It holds a process from the opening of its file to the
//! release. Its mutex is taken with no other lock held, and none is taken under it.

use super::Process;
use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        Mutex, //
    },
    task::Pid, //
};

/// Where a process is found: by its pid, and of those with the same the newest first.
type Place = (Pid, i64);

/// All open files of all devices.
#[pin_data]
pub struct Registry {
    /// The [`Process::serial`] that was given out last. It counts down.
    last_serial: Atomic<i64>,
    #[pin]
    processes: Mutex<RBTree<Place, Arc<Process>>>,
}

/// Room in the registry.
pub(super) struct Reservation {
    pub(super) serial: i64,
    node: RBTreeNodeReservation<Place, Arc<Process>>,
}

impl Registry {
    /// An empty registry.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                last_serial: Atomic::new(i64::MAX),
                processes <- kernel::new_mutex!(RBTree::new(), "Registry::processes"),
            }),
            GFP_KERNEL,
        )
    }

    /// Makes room for a process.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) fn reserve(&self) -> Result<Reservation> {
        Ok(Reservation {
            serial: self.last_serial.fetch_add(-1i64, Relaxed).wrapping_sub(1),
            node: RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?,
        })
    }

    /// Adds a process, whose serial is that of the reservation.
    pub(super) fn add(&self, process: Arc<Process>, reservation: Reservation) {
        let place = (process.pid, process.serial);
        let node = reservation.node.into_node(place, process);
        // No two processes have the same serial.
        let replaced = self.processes.lock().insert(node);
        drop(replaced);
    }

    /// Removes a process. It will not be found from now on, but may be in use.
    pub(super) fn remove(&self, process: &Process) {
        let place = (process.pid, process.serial);
        let removed = self.processes.lock().remove_node(&place);
        drop(removed);
    }

    /// The processes with a pid, as it is numbered in the initial pid namespace, the newest first.
    ///
    /// Nothing is locked in between. What is opened meanwhile does not show up any more.
    pub fn with_pid(&self, pid: Pid) -> impl Iterator<Item = Arc<Process>> + '_ {
        let mut next = Some(i64::MIN);
        core::iter::from_fn(move || {
            let processes = self.processes.lock();
            let cursor = processes.cursor_lower_bound(&(pid, next?))?;
            let ((found, serial), process) = cursor.current();
            if *found != pid {
                return None;
            }
            next = serial.checked_add(1);
            Some(process.clone())
        })
    }
}
