// SPDX-License-Identifier: GPL-2.0

//! Devices: what user space opens.
//!
//! A [`Devices`] holds the character devices of the module. Each has a context of its own; opening
//! it makes a process of that context. This room turns system calls into sessions of the
//! `transaction` room and its errors into errnos; it holds no lock of its own.

mod binder;
mod freeze;
mod ioctl;

use self::binder::Binder;
use crate::{
    buffer::{
        PageReclaimer,
        PageShrinker, //
    },
    process::Registry,
    sys::chardev::Registration, //
};
use kernel::{
    prelude::*,
    str::CString,
    sync::Arc, //
};

/// How many devices `devices=` can name.
const MAX_DEVICES: usize = 64;

/// The devices of the module. Dropping it removes them.
///
/// The fields are dropped in this order. When the devices are gone, there is no context any more, and
/// nobody can make a page; the shrinker is unregistered and waited for before any code goes.
pub struct Devices {
    _registered: KVec<Pin<KBox<Registration<Binder>>>>,
    _shrinker: PageShrinker,
}

impl Devices {
    /// Registers a device for each of the comma-separated `names`.
    ///
    /// # Errors
    ///
    /// [`EEXIST`] if a name is taken, [`EINVAL`] for an unusable name, [`ENOMEM`]. Devices that
    /// were registered before the failure are removed again.
    pub fn register(names: &[u8]) -> Result<Self> {
        // Made first, so dropped last, here too.
        let shrinker = PageShrinker::new()?;
        let registry = Registry::new()?;
        let mut registered = KVec::with_capacity(MAX_DEVICES, GFP_KERNEL)?;
        let mut rest = Some(names);
        while let Some(names) = rest {
            let (name, others) = split_at_comma(names);
            rest = others;
            if !name.is_empty() {
                let device = Self::register_one(name, shrinker.reclaimer(), &registry)?;
                registered.push_within_capacity(device).map_err(|_| {
                    pr_err!("more than {MAX_DEVICES} devices\n");
                    EINVAL
                })?;
            }
        }
        Ok(Self {
            _registered: registered,
            _shrinker: shrinker,
        })
    }

    fn register_one(
        name: &[u8],
        reclaimer: &Arc<PageReclaimer>,
        registry: &Arc<Registry>,
    ) -> Result<Pin<KBox<Registration<Binder>>>> {
        let name = core::str::from_utf8(name).map_err(|_| EINVAL)?;
        if name.bytes().any(|byte| byte == b'/') || name == "." || name == ".." {
            pr_err!("{name:?} can't be the name of a device\n");
            return Err(EINVAL);
        }
        let device = Binder::new(reclaimer.clone(), registry.clone())?;
        let file = CString::try_from_fmt(fmt!("{name}"))?;
        Registration::new(file, device).inspect_err(|error| {
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

/// The part before the first comma, and the part behind it.
fn split_at_comma(names: &[u8]) -> (&[u8], Option<&[u8]>) {
    let comma = (0..names.len()).find(|place| names.get(*place) == Some(&b','));
    match comma {
        Some(place) => (
            names.get(..place).unwrap_or(&[]),
            names.get(place.wrapping_add(1)..),
        ),
        None => (names, None),
    }
}
