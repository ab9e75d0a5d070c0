// SPDX-License-Identifier: GPL-2.0

//! Requests to be told what becomes of the owner of a node, made reference by reference.
//!
//! There are two kinds, [`Death`] and [`Freeze`], and a reference has at most one of each. Its
//! [`Registration`] is guarded by `Process::refs` and goes with it. The node has its own list of
//! those who watch it, under a lock that comes after; a request enters that list when it is on the
//! reference already, and another thread that takes it back meanwhile is noticed afterwards.

use super::{
    refs::{
        Ref,
        RefError, //
    },
    Death,
    Freeze,
    Node,
    Process,
    ThreadKey,
    Watcher,
    Work, //
};
use crate::{
    abi::{
        name::{
            Cookie,
            Handle, //
        },
        object::Strength, //
    },
    object::slab,
    sys::queue::{
        Item,
        Queued, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A request that was made for a reference.
pub(super) struct Registration<T: Request> {
    request: Arc<Item<T>>,
    /// Where in the node's list it is; nowhere if the owner died first.
    place: Option<slab::Key>,
}

/// A kind of request.
pub(super) trait Request: Queued<Work = Work, Handle = Arc<Item<Self>>> {
    /// Where a reference has its registration.
    fn registration(reference: &mut Ref) -> &mut Option<Registration<Self>>;

    /// The entry for the node's list.
    fn watcher(this: Arc<Item<Self>>) -> Watcher;

    /// By which user space recognises the request.
    fn cookie(&self) -> Cookie;

    /// The owner of the node is gone already.
    fn owner_is_gone(this: &Arc<Item<Self>>);

    /// The reference is gone, and the request with it.
    fn reference_gone(this: &Arc<Item<Self>>);
}

impl Request for Death {
    fn registration(reference: &mut Ref) -> &mut Option<Registration<Self>> {
        &mut reference.death
    }

    fn watcher(this: Arc<Item<Self>>) -> Watcher {
        Watcher::Death(this)
    }

    fn cookie(&self) -> Cookie {
        self.cookie
    }

    fn owner_is_gone(this: &Arc<Item<Self>>) {
        Death::node_died(this);
    }

    fn reference_gone(this: &Arc<Item<Self>>) {
        Death::reference_gone(this);
    }
}

impl Request for Freeze {
    fn registration(reference: &mut Ref) -> &mut Option<Registration<Self>> {
        &mut reference.freeze
    }

    fn watcher(this: Arc<Item<Self>>) -> Watcher {
        Watcher::Freeze(this)
    }

    fn cookie(&self) -> Cookie {
        self.cookie
    }

    /// The dead are neither frozen nor thawed: there will be nothing to tell.
    fn owner_is_gone(_: &Arc<Item<Self>>) {}

    fn reference_gone(this: &Arc<Item<Self>>) {
        Freeze::reference_gone(this);
    }
}

impl<T: Request> Registration<T> {
    /// Ends the registration, which is in no table any more.
    pub(super) fn end(self, node: &Node) {
        if let Some(key) = self.place {
            drop(node.unwatch(key));
        }
        T::reference_gone(&self.request);
    }
}

impl Process {
    /// Has `death` told when the owner of the node behind `handle` dies.
    pub fn request_death(&self, handle: Handle, death: Arc<Item<Death>>) -> Result<(), RefError> {
        self.register(handle, death)
    }

    /// Takes back the request for the node behind `handle`, at the wish of `thread`.
    pub fn clear_death(
        &self,
        handle: Handle,
        cookie: Cookie,
        thread: ThreadKey,
    ) -> Result<(), RefError> {
        let death = self.unregister::<Death>(handle, cookie)?;
        // It was registered until just now: nobody cleared it before.
        let _ = Death::clear(&death, thread);
        Ok(())
    }

    /// Has `freeze` told whether the owner of the node behind `handle` is frozen, now and whenever
    /// that changes.
    pub fn request_freeze(
        &self,
        handle: Handle,
        freeze: Arc<Item<Freeze>>,
    ) -> Result<(), RefError> {
        self.register(handle, freeze)
    }

    /// Takes back the request for the node behind `handle`.
    pub fn clear_freeze(&self, handle: Handle, cookie: Cookie) -> Result<(), RefError> {
        let freeze = self.unregister::<Freeze>(handle, cookie)?;
        Freeze::clear(&freeze);
        Ok(())
    }

    fn register<T: Request>(&self, handle: Handle, request: Arc<Item<T>>) -> Result<(), RefError> {
        let node = {
            let mut refs = self.lock_refs();
            let reference = refs.get(handle, Strength::Weak)?;
            let registration = T::registration(reference);
            if registration.is_some() {
                return Err(RefError::AlreadyRequested);
            }
            *registration = Some(Registration {
                request: request.clone(),
                place: None,
            });
            reference.node.clone()
        };
        let place = Node::watch(&node, T::watcher(request.clone()));
        let mut refs = self.lock_refs();
        let registration = refs
            .get(handle, Strength::Weak)
            .ok()
            .map(T::registration)
            .filter(|found| {
                found
                    .as_ref()
                    .is_some_and(|found| Arc::ptr_eq(&found.request, &request))
            });
        match (place, registration) {
            (Ok(Some(key)), Some(Some(registration))) => registration.place = Some(key),
            (Ok(Some(key)), _) => {
                // Another thread took the request back meanwhile, or dropped the reference.
                drop(refs);
                drop(node.unwatch(key));
            }
            (Ok(None), _) => {
                drop(refs);
                T::owner_is_gone(&request);
            }
            (Err(_), registration) => {
                let undone = registration.and_then(Option::take);
                drop(refs);
                drop(undone);
                return Err(RefError::NoMemory);
            }
        }
        Ok(())
    }

    fn unregister<T: Request>(
        &self,
        handle: Handle,
        cookie: Cookie,
    ) -> Result<Arc<Item<T>>, RefError> {
        let (node, Registration { request, place }) = {
            let mut refs = self.lock_refs();
            let reference = refs.get(handle, Strength::Weak)?;
            let node = reference.node.clone();
            let registration = T::registration(reference);
            match registration.take_if(|found| found.request.cookie() == cookie) {
                Some(found) => (node, found),
                None if registration.is_some() => return Err(RefError::WrongCookie),
                None => return Err(RefError::NotRequested),
            }
        };
        if let Some(key) = place {
            drop(node.unwatch(key));
        }
        Ok(request)
    }
}
