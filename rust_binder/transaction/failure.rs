// SPDX-License-Identifier: GPL-2.0

//! Why a message could not be sent, and what user space is told of it.

use crate::{
    abi::returns,
    buffer::AllocError,
    process::RefError,
    sys::user::Fault, //
};
use kernel::{
    alloc::AllocError as OutOfMemory,
    prelude::*, //
};

/// A message was not sent.
#[derive(Clone, Copy)]
pub enum Failure {
    /// The sender did something wrong, or memory ran out.
    Failed(Error),
    /// The receiver is gone, or has no memory mapped.
    Dead(Option<Error>),
    /// The receiver is frozen.
    Frozen,
}

impl Failure {
    /// The `BR_*` that tells of it.
    pub fn code(self) -> u32 {
        match self {
            Failure::Failed(_) => returns::FAILED_REPLY,
            Failure::Dead(_) => returns::DEAD_REPLY,
            Failure::Frozen => returns::FROZEN_REPLY,
        }
    }

    /// The errno in the extended error, negative, or zero.
    pub fn param(self) -> i32 {
        match self {
            Failure::Failed(error) | Failure::Dead(Some(error)) => error.to_errno(),
            Failure::Dead(None) | Failure::Frozen => 0,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error)
    }
}

impl From<OutOfMemory> for Failure {
    fn from(_: OutOfMemory) -> Self {
        Failure::Failed(ENOMEM)
    }
}

impl From<Fault> for Failure {
    fn from(_: Fault) -> Self {
        Failure::Failed(EFAULT)
    }
}

impl From<RefError> for Failure {
    fn from(error: RefError) -> Self {
        Failure::Failed(error.into())
    }
}

impl From<AllocError> for Failure {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::NotMapped => Failure::Dead(Some(ESRCH)),
            error => Failure::Failed(error.into()),
        }
    }
}
