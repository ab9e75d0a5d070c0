// SPDX-License-Identifier: GPL-2.0

//! Nodes, handles and deaths that change under those who use them.

use super::{NODE, another, bystander, codes, give_node, scenario};
use crate::race::Race;
use anyhow::{Context, Result, bail, ensure};
use binder_abi::*;
use harness::deadline::Deadline;
use harness::race::Step;
use harness::returns::Br;
use harness::thread::PAGE;
use harness::{
    Bc, Call, Case, Cx, Errno, Exchange, Parcel, Process, Transactions, check, check_eq,
};
use zerocopy::IntoBytes;

pub const SCENARIOS: &[Case] = &[
    scenario(
        "send-vs-release",
        "a call to a handle that is dropped arrives or fails, and the owner is told once",
        send_vs_release,
    ),
    scenario(
        "resend-vs-release",
        "a node that is sent again while its last reference goes is told of right",
        resend_vs_release,
    ),
    scenario(
        "clear-vs-death",
        "taking back a request while the owner dies is confirmed once",
        clear_vs_death,
    ),
    scenario(
        "request-vs-death",
        "a request while the owner dies is answered once",
        request_vs_death,
    ),
    scenario(
        "release-vs-death",
        "dropping a handle while its owner dies leaves nothing",
        release_vs_death,
    ),
    scenario(
        "same-node-twice",
        "two threads that send the same node at once send one",
        same_node_twice,
    ),
    scenario(
        "manager-vs-end",
        "a node that becomes the manager's while its owner reads that nobody has it is known from then on",
        manager_vs_end,
    ),
];

/// What a process was told of its only node, as counts that must stay 0 or 1.
#[derive(Default)]
pub(super) struct Told {
    pub(super) weak: i32,
    pub(super) strong: i32,
}

impl Told {
    /// Takes returns into account and answers them.
    pub(super) fn read(&mut self, owner: &mut Process, returns: &[Br]) -> Result<()> {
        for each in returns {
            match each.code() {
                BR_INCREFS => self.weak += 1,
                BR_ACQUIRE => self.strong += 1,
                BR_RELEASE => self.strong -= 1,
                BR_DECREFS => self.weak -= 1,
                _ => {}
            }
            ensure!(
                (0..=1).contains(&self.weak) && (0..=1).contains(&self.strong),
                "weak {}, strong {} after {each:?} of {returns:?}",
                self.weak,
                self.strong
            );
        }
        owner.acknowledge(returns)
    }

    /// Reads until the node is unknown again.
    pub(super) fn read_to_end(&mut self, owner: &mut Process) -> Result<()> {
        while self.weak + self.strong > 0 {
            let returns = owner.read()?;
            self.read(owner, &returns)?;
        }
        let rest = owner.try_read()?;
        ensure!(rest.is_empty(), "{rest:?} behind the end of the node");
        Ok(())
    }
}

fn send_vs_release(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut owner = cx.client()?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut other)?;
        let handle = give_node(&mut owner, &mut manager)?;
        let send = Exchange::write(&[Call::oneway(handle).into()]).into();
        let release = Exchange::write(&[Bc::Release(handle)]).into();
        for end in race.run(vec![
            (&mut manager, vec![send]),
            (&mut other, vec![release]),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        match codes(&manager.read()?).as_slice() {
            [BR_TRANSACTION_COMPLETE] => {
                let call = owner.receive()?;
                check_eq!(call.data.target, NODE.0);
                owner.free(&call)?;
            }
            [BR_FAILED_REPLY] => {}
            other => bail!("{other:x?}"),
        }
        check_eq!(codes(&owner.read()?), [BR_RELEASE, BR_DECREFS]);
        check_eq!(owner.try_read()?, []);
        Ok(())
    })
}

fn resend_vs_release(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut manager)?;
        let handle = give_node(&mut owner, &mut manager)?;
        let mut told = Told { weak: 1, strong: 1 };
        let parcel = Parcel::new().binder(NODE.0, NODE.1);
        let send = Exchange::write(&[Call::oneway(0).parcel(parcel).into()]).into();
        let release = Exchange::write(&[Bc::Release(handle)]).into();
        for end in race.run(vec![
            (&mut owner, vec![send]),
            (&mut manager, vec![release]),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let returns = owner.read()?;
        check!(
            codes(&returns).contains(&BR_TRANSACTION_COMPLETE)
                || codes(&returns).contains(&BR_RELEASE)
        );
        told.read(&mut owner, &returns)?;
        let call = manager.receive()?;
        check_eq!(manager.object(&call, 0)?.hdr.kind, BINDER_TYPE_HANDLE);
        manager.free(&call)?;
        told.read_to_end(&mut owner)
    })
}

/// A manager with a handle of an owner that is about to be killed.
fn doomed(cx: &Cx, manager: &mut Process) -> Result<(Process, u32)> {
    let mut owner = cx.client()?;
    let handle = give_node(&mut owner, manager)?;
    Ok((owner, handle))
}

fn kill(owner: &Process) -> Vec<Step> {
    let arguments = vec![owner.pid() as u64, libc::SIGKILL as u64];
    vec![Step::Syscall(libc::SYS_kill, arguments)]
}

const COOKIE: u64 = 9;

/// Reads until a request that was taken back is confirmed; how often death was told.
fn until_cleared(manager: &mut Process) -> Result<u32> {
    let mut deaths = 0;
    loop {
        for each in manager.read()? {
            match each {
                Br::Cookie(BR_DEAD_BINDER, COOKIE) => {
                    deaths += 1;
                    manager.send(&[Bc::DeadBinderDone(COOKIE)])?;
                }
                Br::Cookie(BR_CLEAR_DEATH_NOTIFICATION_DONE, COOKIE) => {
                    check_eq!(manager.try_read()?, []);
                    return Ok(deaths);
                }
                Br::Plain(BR_NOOP) => {}
                other => bail!("{other:?}"),
            }
        }
    }
}

fn clear_vs_death(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let (owner, handle) = doomed(cx, &mut manager)?;
        manager.send(&[Bc::RequestDeath(handle, COOKIE)])?;
        let clear = Exchange::write(&[Bc::ClearDeath(handle, COOKIE)]).into();
        for end in race.run(vec![
            (&mut manager, vec![clear]),
            (&mut killer, kill(&owner)),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let deaths = until_cleared(&mut manager)?;
        check!(deaths <= 1, "death was told {deaths} times");
        owner.kill()?;
        manager.send(&[Bc::Release(handle)])?;
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

fn request_vs_death(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let (owner, handle) = doomed(cx, &mut manager)?;
        let request = Exchange::write(&[Bc::RequestDeath(handle, COOKIE)]).into();
        for end in race.run(vec![
            (&mut manager, vec![request]),
            (&mut killer, kill(&owner)),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        owner.kill()?;
        check_eq!(codes(&manager.read()?), [BR_DEAD_BINDER]);
        manager.send(&[Bc::DeadBinderDone(COOKIE), Bc::Release(handle)])?;
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

fn release_vs_death(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let (owner, handle) = doomed(cx, &mut manager)?;
        manager.send(&[Bc::RequestDeath(handle, COOKIE)])?;
        let release = Exchange::write(&[Bc::Release(handle)]).into();
        for end in race.run(vec![
            (&mut manager, vec![release]),
            (&mut killer, kill(&owner)),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        owner.kill()?;
        // Told before the handle went, or not at all.
        match codes(&manager.try_read()?).as_slice() {
            [] => {}
            [BR_DEAD_BINDER] => manager.send(&[Bc::DeadBinderDone(COOKIE)])?,
            other => bail!("{other:x?}"),
        }
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

fn same_node_twice(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut owner = cx.client()?;
    let mut other = another(&mut owner)?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut other)?;
        let send = || {
            let parcel = Parcel::new().binder(NODE.0, NODE.1);
            vec![Exchange::write(&[Call::oneway(0).parcel(parcel).into()]).into()]
        };
        for end in race.run(vec![(&mut owner, send()), (&mut other, send())])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let mut told = Told::default();
        let mut returns = other.read()?;
        returns.extend(owner.read()?);
        told.read(&mut owner, &returns)?;
        check_eq!((told.weak, told.strong), (1, 1), "{returns:?}");
        let first = manager.receive()?;
        let handle = manager.object(&first, 0)?.handle();
        manager.free(&first)?;
        let second = manager.receive()?;
        check_eq!(manager.object(&second, 0)?.handle(), handle);
        manager.free(&second)?;
        told.read_to_end(&mut owner)
    })
}

fn manager_vs_end(cx: &mut Cx) -> Result<()> {
    Race::rounds(cx, |cx, race| {
        let mut first = cx.manager()?;
        let mut owner = cx.client()?;
        let mut reader = another(&mut owner)?;
        race.intruder(&mut reader)?;
        give_node(&mut owner, &mut first)?;
        let node = FlatObject {
            binder: NODE.0,
            cookie: NODE.1,
            ..FlatObject::default()
        };
        let argument = owner.allocate(PAGE)?;
        owner.poke(argument, node.as_bytes())?.context("poke")?;
        first.kill()?;
        cx.wait_for_vacancy()?;
        // References end some time after that.
        let deadline = Deadline::step();
        while reader.poll_events()? & libc::POLLIN == 0 {
            ensure!(!deadline.passed(), "the owner is not told");
            std::thread::yield_now();
        }
        let fd = owner.endpoint.fd as u64;
        let arguments = vec![fd, BINDER_SET_CONTEXT_MGR_EXT.into(), argument];
        let become_manager = Step::Syscall(libc::SYS_ioctl, arguments);
        let read = Exchange::read().nonblocking().into();
        let mut ends = race.run(vec![
            (&mut owner, vec![become_manager]),
            (&mut reader, vec![read]),
        ])?;
        if let Some(end) = ends.pop() {
            let result = end?.only()?.result();
            check!(matches!(result, Ok(()) | Err(Errno::EAGAIN)), "{result:?}");
        }
        for end in ends {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        let known = owner.ioctl(BINDER_GET_NODE_DEBUG_INFO, NodeDebugInfo::default())?;
        check_eq!(known.map(|info| info.ptr), Ok(NODE.0));
        let mut client = cx.client()?;
        client.send(&[Bc::Acquire(0), Bc::RequestDeath(0, COOKIE)])?;
        owner.kill()?;
        check_eq!(codes(&client.read()?), [BR_DEAD_BINDER]);
        Ok(())
    })
}
