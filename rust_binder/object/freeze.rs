// SPDX-License-Identifier: GPL-2.0

//! The life of one request to be told of freezing and thawing.
//!
//! A process may ask, for each of its references, to be told whether the owner of the node is
//! frozen: at once, and from then on whenever that changes. It is told with `BR_FROZEN_BINDER` and
//! answers with `BC_FREEZE_NOTIFICATION_DONE`. Until it has answered it is told nothing more, and
//! then only the newest, however often the owner was frozen and thawed meanwhile. It may take the
//! request back at any time, which is answered by `BR_CLEAR_FREEZE_NOTIFICATION_DONE`, after the
//! answer to a notification that is out, and in place of one that is not. From taking it back on
//! the reference has nothing to do with the request any more and may get a new one.
//!
//! ```text
//!           changed             deliver              done
//!   Quiet ───────────▶ Queued ───────────▶ Delivered ──────▶ Quiet
//!     │                  │  ▲                  │
//!     │                  │  │ done, if changed │
//!     │                  │  └──────────────────┤
//!     │ clear            │ clear               │ clear
//!     │                  ▼         done        ▼
//!     └──────────▶ ClearQueued ◀──────── DeliveredCleared
//!                        │ deliver
//!                        ▼
//!                      Over
//! ```

/// Where a request stands.
///
/// Guarded by the lock of the process that made the request, see `process::Freeze`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreezeState {
    /// Nothing is to be told: all was told and answered, or the owner was dead from the start.
    Quiet,
    /// A notification is in a queue.
    Queued {
        /// What it will tell.
        frozen: bool,
    },
    /// A notification was delivered and is not answered yet.
    Delivered {
        /// What the next would tell.
        frozen: bool,
        /// The owner was frozen or thawed since, so there will be a next, even if it is as before.
        again: bool,
    },
    /// A notification was delivered and is not answered yet; the request was taken back.
    DeliveredCleared,
    /// The confirmation that the request was taken back is in a queue.
    ClearQueued,
    /// Nothing will come of it any more.
    Over,
}

/// Whether the request has to be added as work to the queue of the process, of which a thread is to
/// be woken.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreezeWork {
    /// It is in a list already, or has nothing to tell.
    Nothing,
    /// It is to be queued, and thereby becomes the queue's.
    ToProcess,
}

/// What the process has to be told.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FreezeDelivery {
    /// `BR_FROZEN_BINDER`, which ends the read. The request goes to the list of what was delivered
    /// and is to be answered.
    State {
        /// Whether the owner is frozen.
        frozen: bool,
    },
    /// `BR_CLEAR_FREEZE_NOTIFICATION_DONE`. The request is over.
    ClearDone,
}

impl FreezeState {
    /// A new request, whose process knows nothing yet. Unless the owner is dead, what the owner
    /// [is](FreezeState::changed) now follows at once.
    pub(crate) const fn new() -> Self {
        Self::Quiet
    }

    /// The owner of the node was frozen or thawed, or the request is new and this is its state.
    ///
    /// It is told even if it is what was told last: only while an answer is due is a state worth
    /// a notification just because it differs.
    pub(crate) fn changed(&mut self, is_frozen: bool) -> FreezeWork {
        match self {
            Self::Quiet => {
                *self = Self::Queued { frozen: is_frozen };
                return FreezeWork::ToProcess;
            }
            Self::Queued { frozen } => *frozen = is_frozen,
            Self::Delivered { frozen, again } => {
                *again |= *frozen != is_frozen;
                *frozen = is_frozen;
            }
            Self::DeliveredCleared | Self::ClearQueued | Self::Over => {}
        }
        FreezeWork::Nothing
    }

    /// The process takes the request back, which it can do once.
    pub(crate) fn clear(&mut self) -> FreezeWork {
        let (next, work) = match self {
            Self::Quiet => (Self::ClearQueued, FreezeWork::ToProcess),
            Self::Queued { .. } => (Self::ClearQueued, FreezeWork::Nothing),
            Self::Delivered { .. } => (Self::DeliveredCleared, FreezeWork::Nothing),
            Self::DeliveredCleared | Self::ClearQueued | Self::Over => return FreezeWork::Nothing,
        };
        *self = next;
        work
    }

    /// A thread has taken the request out of a queue.
    ///
    /// Returns `None` if nothing is to be told: the reference has gone and left the request in
    /// the queue.
    #[must_use]
    pub(crate) fn deliver(&mut self) -> Option<FreezeDelivery> {
        let (next, delivery) = match *self {
            Self::Queued { frozen } => (
                Self::Delivered {
                    frozen,
                    again: false,
                },
                FreezeDelivery::State { frozen },
            ),
            Self::ClearQueued => (Self::Over, FreezeDelivery::ClearDone),
            Self::Quiet | Self::Delivered { .. } | Self::DeliveredCleared | Self::Over => {
                return None
            }
        };
        *self = next;
        Some(delivery)
    }

    /// The process has answered the notification, and the request was taken off the list of what
    /// was delivered.
    pub(crate) fn done(&mut self) -> FreezeWork {
        let (next, work) = match *self {
            Self::Delivered { again: false, .. } => (Self::Quiet, FreezeWork::Nothing),
            Self::Delivered {
                frozen,
                again: true,
            } => (Self::Queued { frozen }, FreezeWork::ToProcess),
            Self::DeliveredCleared => (Self::ClearQueued, FreezeWork::ToProcess),
            Self::Quiet | Self::Queued { .. } | Self::ClearQueued | Self::Over => {
                return FreezeWork::Nothing
            }
        };
        *self = next;
        work
    }

    /// The reference has gone, and the request that it has not taken back goes with it, silently.
    ///
    /// Returns whether it did. A request that was taken back is not the reference's any more and
    /// goes on.
    #[must_use]
    pub(crate) fn reference_gone(&mut self) -> bool {
        match self {
            Self::Quiet | Self::Queued { .. } | Self::Delivered { .. } => {
                *self = Self::Over;
                true
            }
            Self::DeliveredCleared | Self::ClearQueued | Self::Over => false,
        }
    }
}
