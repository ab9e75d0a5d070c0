// SPDX-License-Identifier: GPL-2.0

//! The rules of nodes, references, handles and buffers, without the things themselves.
//!
//! Everything here is data and the transitions it may make: which handle is the lowest free one,
//! what the owner of a node has to be told when a count changes, when a notification of death is
//! over, whether a process takes calls, where a buffer may be fixed up. It is all plain state: the
//! caller holds the lock that each type names, does what the transition returns (queue this, wake
//! that, take the node out of the tree) and frees what is left over after it has dropped the lock.
//! Nothing here locks, sleeps or allocates, except the functions named `allocate`, which are to be
//! called without a lock, and [`scatter`], which needs none.
//!
//! No type of the kernel is used, only the shims [`mem`](crate::mem) and
//! [`atomic`](crate::atomic), so that the very same files are tested on a host: against literal
//! models, with random operations and with all interleavings.

pub(crate) mod death;
mod free_tree;
pub(crate) mod freeze;
pub(crate) mod freezer;
pub(crate) mod handles;
mod leaves;
pub(crate) mod priority;
pub(crate) mod refcount;
pub(crate) mod scatter;
pub(crate) mod slab;
pub(crate) mod strong;
