// SPDX-License-Identifier: GPL-2.0

//! Nodes: the objects that a process offers to others.
//!
//! A node is owned by the tree of its process, by every reference to it and by every message on its
//! way to it. Its counts follow the protocol in `object::refcount`; the number of strong holders is
//! an atomic beside them, so that a message takes and gives its hold without a lock as long as
//! somebody else holds the node too, which a caller's own reference nearly always does.

use super::{
    next_debug_id,
    oneway::Oneways,
    watch::Watchers,
    Hold,
    Inner,
    Process,
    ThreadKey,
    Wakeup,
    Work, //
};
use crate::{
    abi::{
        name::NodeName,
        object::{
            NodeFlags,
            Strength, //
        }, //
    },
    object::{
        refcount::{
            After,
            Enqueue,
            NodeCommands,
            NodeCounts,
            NotPending,
            Notify, //
        },
        strong::StrongCount, //
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
    rbtree::RBTreeNodeReservation,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        SpinLock, //
    }, //
};

/// An object that its process offers to others.
#[pin_data]
pub struct Node {
    /// Names the node in messages.
    pub debug_id: u32,
    /// What the owner calls it.
    pub name: NodeName,
    /// What the owner said of it when it first sent it.
    pub flags: NodeFlags,
    /// The process that the object lives in.
    pub owner: Arc<Process>,
    /// Set, under the lock, when the owner is gone; never cleared.
    pub(super) dead: Atomic<bool>,
    /// It is the node behind handle 0. Changed under the lock of the context's manager.
    manager: Atomic<bool>,
    _count: Count,
    pub(super) strong: StrongCount,
    /// The latest [`Ticket`]. Changed with the node and its owner locked, so either lock keeps it.
    ticket: Atomic<u32>,
    #[pin]
    pub(super) inner: SpinLock<NodeInner>,
}

/// What the lock of a node guards.
pub(super) struct NodeInner {
    pub(super) counts: NodeCounts,
    /// No longer in the owner's tree: out of use, or the owner is gone.
    pub(super) detached: bool,
    /// Oneway messages to the node.
    pub(super) oneways: Oneways,
    /// Who wants to know what becomes of the owner.
    pub(super) watchers: Watchers,
}

impl Queued for Node {
    type Work = Work;
    type Handle = Arc<Item<Node>>;

    fn into_work(handle: Self::Handle) -> Work {
        let ticket = handle.ticket();
        Work::Node(handle, ticket)
    }
}

/// Which time that a node was queued as work.
///
/// Work leaves a queue under the lock of the owner, and what is to be told is decided under that of
/// the node, which comes first and so is taken afterwards. If another thread of the owner sends the
/// node meanwhile, it is that thread which has to be told: the work is queued again, for that thread,
/// and the ticket of the first is no longer the latest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u32);

/// The node went out of use while it was looked up; look it up again.
pub struct Detached;

/// Why a reference could not become strong.
pub enum Refused {
    /// See [`Detached`].
    Detached,
    /// Nobody holds the node strongly, and its owner is not here to be asked.
    NotStrong,
}

/// What to tell the owner's user space, and how the counts read, for `BINDER_GET_NODE_*`.
#[derive(Clone, Copy)]
pub struct NodeReport {
    /// The owner was told of strong references.
    pub has_strong: bool,
    /// The owner was told of weak references.
    pub has_weak: bool,
    /// All strong holds.
    pub strong: u64,
    /// Weak holds of the driver's own.
    pub local_weak: u32,
}

impl Node {
    /// Finds the node that `owner` calls `name`, or makes it.
    ///
    /// A node that exists keeps its cookie and flags.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn find_or_create(
        owner: &Arc<Process>,
        name: NodeName,
        flags: NodeFlags,
    ) -> Result<Arc<Item<Node>>> {
        if let Some(node) = owner.lock().node(name) {
            return Ok(node);
        }
        let reservation = RBTreeNodeReservation::new(GFP_KERNEL_ACCOUNT)?;
        let node = Arc::pin_init(
            Item::pin_init(pin_init!(Node {
                debug_id: next_debug_id(),
                name,
                flags,
                owner: owner.clone(),
                dead: Atomic::new(false),
                manager: Atomic::new(false),
                _count: Count::new(census::Kind::Node),
                strong: StrongCount::new(),
                ticket: Atomic::new(0),
                inner <- kernel::new_spinlock!(NodeInner {
                    counts: NodeCounts::new(),
                    detached: false,
                    oneways: Oneways::new(),
                    watchers: Watchers::new(),
                }, "Node::inner"),
            })),
            GFP_KERNEL_ACCOUNT,
        )?;
        let entry = reservation.into_node(name.ptr, node.clone());
        let mut inner = owner.lock();
        if let Some(raced) = inner.node(name) {
            drop(inner);
            return Ok(raced);
        }
        inner.nodes.insert(entry);
        Ok(node)
    }

    /// Where the node is, which no other node is while somebody holds this one.
    #[inline]
    pub(super) fn address(this: &Arc<Item<Node>>) -> usize {
        core::ptr::from_ref::<Item<Node>>(this).addr()
    }

    /// The latest ticket. The node or its owner is locked.
    #[inline]
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.ticket.load(Relaxed))
    }

    /// Makes a new ticket, for work that is about to be queued.
    fn issue_ticket(&self) {
        self.ticket.add(1, Relaxed);
    }

    /// Tells whether the owner is gone.
    #[inline]
    pub fn is_dead(&self) -> bool {
        self.dead.load(Relaxed)
    }

    /// Carries out what a change of the counts asks for. The node's lock is held.
    fn settle(this: &Arc<Item<Node>>, inner: &mut NodeInner, after: After) -> Wakeup {
        match after {
            After::Keep => Wakeup::none(),
            After::QueueToProcess => {
                let mut owner = this.owner.lock();
                this.issue_ticket();
                owner.push::<Node>(this.clone(), Wake::Normal)
            }
            After::Gone { queued } => {
                inner.detached = true;
                let mut owner = this.owner.lock();
                Self::detach(this, &mut owner, queued);
                Wakeup::none()
            }
        }
    }

    /// Takes the node out of the owner's tree. `this` keeps it alive, so nothing is freed here that
    /// would need a lock.
    fn detach(this: &Arc<Item<Node>>, owner: &mut Inner, queued: bool) {
        owner.nodes.remove(&this.name.ptr);
        if queued {
            owner.unqueue_node(this);
        }
    }

    /// Queues the news of a first reference for the owner's thread that sends the node.
    fn announce(this: &Arc<Item<Node>>, enqueue: Enqueue, thread: Option<ThreadKey>) {
        let (Some(thread), true) = (thread, enqueue != Enqueue::Nothing) else {
            return;
        };
        let mut owner = this.owner.lock();
        if enqueue == Enqueue::MoveToThread {
            // If it is in no queue, the thread that took it out has not decided what to tell yet, and
            // will find that its ticket is not the latest.
            owner.unqueue_node(this);
        }
        this.issue_ticket();
        owner.push_node_to(thread, this.clone());
    }

    /// Ends a node that was made for a message which was not sent after all.
    pub fn drop_unused(this: &Arc<Item<Node>>) {
        let _wakeup;
        let mut inner = this.inner.lock();
        if !inner.detached {
            // A reference that comes and goes: if it was the only one, this is the end.
            inner.counts.ref_added();
            let after = inner.counts.ref_removed(&this.strong);
            _wakeup = Self::settle(this, &mut inner, after);
        }
    }

    /// A process gets a reference, which starts with one count of `strength`.
    pub(super) fn add_reference(
        this: &Arc<Item<Node>>,
        strength: Strength,
        sender: Option<ThreadKey>,
        is_manager: bool,
    ) -> Result<(), Refused> {
        let mut inner = this.inner.lock();
        if inner.detached && !this.is_dead() {
            return Err(Refused::Detached);
        }
        if this.is_dead() {
            // Handles of dead nodes can still be passed on; nobody is left to be told.
            return Ok(());
        }
        Self::count_first(this, &mut inner, strength, sender, is_manager)?;
        inner.counts.ref_added();
        Ok(())
    }

    /// The first count of `strength` of a reference that exists.
    pub(super) fn first_count(
        this: &Arc<Item<Node>>,
        strength: Strength,
        sender: Option<ThreadKey>,
        is_manager: bool,
    ) -> Result<(), Refused> {
        let mut inner = this.inner.lock();
        match this.is_dead() {
            true => Ok(()),
            false => Self::count_first(this, &mut inner, strength, sender, is_manager),
        }
    }

    /// Takes the first count of `strength` of a reference, and sees that the owner is told if need be.
    fn count_first(
        this: &Arc<Item<Node>>,
        inner: &mut NodeInner,
        strength: Strength,
        sender: Option<ThreadKey>,
        is_manager: bool,
    ) -> Result<(), Refused> {
        let notify = sender.map_or(Notify::Nobody, |_| Notify::Sender);
        let enqueue = match strength {
            Strength::Weak => inner.counts.ref_weak_first(notify),
            Strength::Strong => inner
                .counts
                .ref_strong_first(&this.strong, notify, is_manager)
                .map_err(|_| Refused::NotStrong)?,
        };
        Self::announce(this, enqueue, sender);
        Ok(())
    }

    /// The last strong count of a reference is gone.
    pub(super) fn last_strong(this: &Arc<Item<Node>>) -> Wakeup {
        let mut inner = this.inner.lock();
        if this.is_dead() {
            return Wakeup::none();
        }
        let after = inner.counts.ref_strong_last(&this.strong);
        Self::settle(this, &mut inner, after)
    }

    /// A reference is gone.
    pub(super) fn remove_reference(this: &Arc<Item<Node>>) -> Wakeup {
        let mut inner = this.inner.lock();
        if this.is_dead() {
            return Wakeup::none();
        }
        let after = inner.counts.ref_removed(&this.strong);
        Self::settle(this, &mut inner, after)
    }

    /// Takes a hold for something in flight, or in a buffer of the owner.
    pub fn hold(this: &Arc<Item<Node>>, strength: Strength) -> Result<Hold, Detached> {
        if strength == Strength::Strong && this.strong.try_hold() {
            return Ok(Hold::new(this.clone(), strength));
        }
        let mut inner = this.inner.lock();
        if inner.detached && !this.is_dead() {
            return Err(Detached);
        }
        if !this.is_dead() {
            match strength {
                Strength::Strong => inner.counts.hold_strong(&this.strong),
                Strength::Weak => inner.counts.hold_weak(),
            }
        }
        Ok(Hold::new(this.clone(), strength))
    }

    /// Gives a hold back.
    #[inline]
    pub(super) fn release_hold(this: &Arc<Item<Node>>, strength: Strength) {
        if strength == Strength::Strong && this.strong.try_drop() {
            return;
        }
        let _wakeup;
        let mut inner = this.inner.lock();
        if this.is_dead() {
            return;
        }
        let after = match strength {
            Strength::Strong => inner.counts.drop_strong(&this.strong),
            Strength::Weak => inner.counts.drop_weak(&this.strong),
        };
        _wakeup = Self::settle(this, &mut inner, after);
    }

    /// Makes the node the one behind handle 0, for as long as its owner lives.
    pub fn become_manager(this: &Arc<Item<Node>>) -> Result<(), Detached> {
        let mut inner = this.inner.lock();
        if inner.detached {
            return Err(Detached);
        }
        inner.counts.become_manager(&this.strong);
        this.manager.store(true, Relaxed);
        Ok(())
    }

    /// The owner goes: handle 0 will be another node, and this one is passed on as any other.
    pub fn resign_as_manager(&self) {
        self.manager.store(false, Relaxed);
    }

    /// Tells whether this is the node behind handle 0.
    #[inline]
    pub fn is_manager(&self) -> bool {
        self.manager.load(Relaxed)
    }

    /// What is to be told to the owner, whose read took the node's work from a queue, with `ticket`.
    pub fn read_commands(this: &Arc<Item<Node>>, ticket: Ticket) -> NodeCommands {
        let mut inner = this.inner.lock();
        if inner.detached || this.ticket() != ticket {
            return NodeCommands::default();
        }
        let commands = inner.counts.commands(&this.strong);
        if commands.gone {
            inner.detached = true;
            Self::detach(this, &mut this.owner.lock(), false);
        }
        commands
    }

    /// The node's work was taken, with `ticket`, from a queue that nobody will read.
    pub fn forget_work(this: &Arc<Item<Node>>, ticket: Ticket) {
        let mut inner = this.inner.lock();
        if this.ticket() == ticket {
            inner.counts.work_dropped();
        }
    }

    /// The owner confirms `BR_ACQUIRE` or `BR_INCREFS`.
    pub fn confirm(this: &Arc<Item<Node>>, strength: Strength) -> Result<(), NotPending> {
        let _wakeup;
        let mut inner = this.inner.lock();
        let after = match strength {
            Strength::Strong => inner.counts.acquire_done(&this.strong)?,
            Strength::Weak => inner.counts.increfs_done(&this.strong)?,
        };
        _wakeup = Self::settle(this, &mut inner, after);
        Ok(())
    }

    /// How the counts read.
    pub fn report(&self) -> NodeReport {
        let inner = self.inner.lock();
        NodeReport {
            has_strong: inner.counts.has_strong(),
            has_weak: inner.counts.has_weak(),
            strong: self.strong.get(),
            local_weak: inner.counts.local_weak(),
        }
    }
}
