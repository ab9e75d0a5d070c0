// SPDX-License-Identifier: GPL-2.0

//! Holds on nodes.

use super::Node;
use crate::{
    abi::object::Strength,
    sys::queue::Item, //
};
use kernel::sync::Arc;

/// A hold on a node, taken on behalf of a message or buffer. Dropping it gives it back.
///
/// The node's lock must not be held then, nor that of its owner.
pub struct Hold {
    node: Arc<Item<Node>>,
    strength: Strength,
}

impl Hold {
    /// Takes over a hold that was counted already.
    #[inline]
    pub(super) fn new(node: Arc<Item<Node>>, strength: Strength) -> Self {
        Self { node, strength }
    }

    /// The node.
    #[inline]
    pub fn node(&self) -> &Arc<Item<Node>> {
        &self.node
    }
}

impl Drop for Hold {
    #[inline]
    fn drop(&mut self) {
        Node::release_hold(&self.node, self.strength);
    }
}
