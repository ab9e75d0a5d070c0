// SPDX-License-Identifier: GPL-2.0

//! Devices: what user space opens.
//!
//! A [`Devices`] holds the character devices of the module. Each has a context of its own; opening
//! it makes a process of that context. This room turns system calls into sessions of the
//! `transaction` room and its errors into errnos; it holds no lock of its own.

mod binder;
mod ioctl;

use self::binder::Binder;
use crate::{
    buffer::PageReclaimer,
    sys::chardev::Registration, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// The devices of the module. Dropping it removes them.
pub struct Devices {
    _registered: KVec<Pin<KBox<Registration<Binder>>>>,
}

impl Devices {
    /// Registers a device for each of the comma-separated `names`.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if a name is taken, [`EINVAL`] for an unusable name, [`ENOMEM`]. Devices that
    /// were registered before the failure are removed again.
    pub fn register(names: &CStr) -> Result<Self> {
        let reclaimer = PageReclaimer::new()?;
        let mut registered = KVec::new();
        for name in names.to_bytes().split(|byte| *byte == b',') {
            if name.is_empty() {
                continue;
            }
            registered.push(Self::register_one(name, &reclaimer)?, GFP_KERNEL)?;
        }
        Ok(Self {
            _registered: registered,
        })
    }

    fn register_one(
        name: &[u8],
        reclaimer: &Arc<PageReclaimer>,
    ) -> Result<Pin<KBox<Registration<Binder>>>> {
        let name = core::str::from_utf8(name).map_err(|_| EINVAL)?;
        if name.contains('/') || name == "." || name == ".." {
            pr_err!("{name:?} can't be the name of a device\n");
            return Err(EINVAL);
        }
        let copy = || CString::try_from_fmt(kernel::prelude::fmt!("{name}"));
        let device = Binder::new(copy()?, reclaimer.clone())?;
        Registration::new(copy()?, device).inspect_err(|error| {
            if *error == EEXIST {
                pr_err!(
                    "/dev/{name} exists already; is another binder driver loaded? Choose other \
                     names with devices=\n"
                );
            } else {
                pr_err!("/dev/{name} can't be registered: {error:?}\n");
            }
        })
    }
}
