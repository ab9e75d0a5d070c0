// SPDX-License-Identifier: GPL-2.0

//! The life of one request to be told of a death.
//!
//! A process may ask, for each of its references, to be told when the owner of the node dies.
//! It is told with `BR_DEAD_BINDER` and answers with `BC_DEAD_BINDER_DONE`; it may take the
//! request back at any time, which is answered by `BR_CLEAR_DEATH_NOTIFICATION_DONE`, but never
//! between the notification and its answer. From taking it back on the reference has nothing to do
//! with the request any more and may get a new one.
//!
//! ```text
//!              node_died            deliver               done
//!   Waiting ───────────▶ DeadQueued ───────▶ DeadDelivered ──────▶ Noted
//!      │                     │                     │                 │
//!      │ clear               │ clear               │ clear           │ clear
//!      │                     ▼       deliver       ▼                 │
//!      │            DeadQueuedCleared ────▶ DeadDeliveredCleared     │
//!      │                                           │ done            │
//!      └───────────────────────────────▶ ClearQueued ◀───────────────┘
//!                                                  │ deliver
//!                                                  ▼
//!                                                Over
//! ```

/// Where a request stands.
///
/// Guarded by the inner lock of the process that made the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeathState {
    /// The owner of the node lives.
    Waiting,
    /// The notification is in a queue.
    DeadQueued,
    /// The notification is in a queue; the request was taken back since.
    DeadQueuedCleared,
    /// The notification was delivered and is not answered yet.
    DeadDelivered,
    /// The notification was delivered and is not answered yet; the request was taken back.
    DeadDeliveredCleared,
    /// The notification was answered.
    Noted,
    /// The confirmation that the request was taken back is in a queue.
    ClearQueued,
    /// Nothing will come of it any more.
    Over,
}

/// To which queue the request has to be added as work, and thereby become the queue's.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeathWork {
    /// That of the process, of which a thread is to be woken.
    ToProcess,
    /// That of the calling thread if it is a looper, else that of the process.
    ToCaller,
}

/// What the process has to be told.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// `BR_DEAD_BINDER`, which ends the read. The request goes to the list of what was delivered
    /// and is to be answered.
    DeadBinder,
    /// `BR_CLEAR_DEATH_NOTIFICATION_DONE`. The request is over.
    ClearDone,
}

/// What has to be taken out of where, because the reference has gone.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linked {
    /// The request is nowhere.
    Nowhere,
    /// The request is in a queue, as work.
    Queue,
    /// The request is in the list of what was delivered.
    Delivered,
}

/// The request was taken back before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlreadyCleared;

/// The notification was not delivered, or was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotDelivered;

impl DeathState {
    /// A new request. If the owner of the node is dead already, the process is told at once.
    pub(crate) fn new(owner_is_dead: bool) -> (Self, Option<DeathWork>) {
        let mut state = Self::Waiting;
        let work = owner_is_dead.then(|| state.node_died()).flatten();
        (state, work)
    }

    /// The owner of the node has died.
    #[must_use]
    pub(crate) fn node_died(&mut self) -> Option<DeathWork> {
        match self {
            Self::Waiting => {
                *self = Self::DeadQueued;
                Some(DeathWork::ToProcess)
            }
            // The request is being taken back, or has been told of the death before.
            _ => None,
        }
    }

    /// The process takes the request back.
    pub(crate) fn clear(&mut self) -> Result<Option<DeathWork>, AlreadyCleared> {
        let (next, work) = match self {
            Self::Waiting | Self::Noted => (Self::ClearQueued, Some(DeathWork::ToCaller)),
            Self::DeadQueued => (Self::DeadQueuedCleared, None),
            Self::DeadDelivered => (Self::DeadDeliveredCleared, None),
            Self::DeadQueuedCleared
            | Self::DeadDeliveredCleared
            | Self::ClearQueued
            | Self::Over => return Err(AlreadyCleared),
        };
        *self = next;
        Ok(work)
    }

    /// A thread has taken the request out of a queue.
    ///
    /// Returns `None` if nothing is to be told: the reference has gone and left the request in
    /// the queue.
    #[must_use]
    pub(crate) fn deliver(&mut self) -> Option<Delivery> {
        let (next, delivery) = match self {
            Self::DeadQueued => (Self::DeadDelivered, Delivery::DeadBinder),
            Self::DeadQueuedCleared => (Self::DeadDeliveredCleared, Delivery::DeadBinder),
            Self::ClearQueued => (Self::Over, Delivery::ClearDone),
            Self::Waiting
            | Self::DeadDelivered
            | Self::DeadDeliveredCleared
            | Self::Noted
            | Self::Over => return None,
        };
        *self = next;
        Some(delivery)
    }

    /// The process has answered the notification, and the request was taken off the list of what
    /// was delivered.
    pub(crate) fn done(&mut self) -> Result<Option<DeathWork>, NotDelivered> {
        let (next, work) = match self {
            Self::DeadDelivered => (Self::Noted, None),
            Self::DeadDeliveredCleared => (Self::ClearQueued, Some(DeathWork::ToCaller)),
            Self::Waiting
            | Self::DeadQueued
            | Self::DeadQueuedCleared
            | Self::Noted
            | Self::ClearQueued
            | Self::Over => return Err(NotDelivered),
        };
        *self = next;
        Ok(work)
    }

    /// The reference has gone, and the request that it has not taken back goes with it, silently.
    ///
    /// A request that was taken back is not the reference's any more and goes on.
    pub(crate) fn reference_gone(&mut self) -> Linked {
        let linked = match self {
            Self::Waiting | Self::Noted => Linked::Nowhere,
            Self::DeadQueued => Linked::Queue,
            Self::DeadDelivered => Linked::Delivered,
            Self::DeadQueuedCleared
            | Self::DeadDeliveredCleared
            | Self::ClearQueued
            | Self::Over => return Linked::Nowhere,
        };
        *self = Self::Over;
        linked
    }
}
