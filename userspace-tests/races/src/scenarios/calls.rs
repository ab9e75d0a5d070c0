// SPDX-License-Identifier: GPL-2.0

//! Calls and replies whose other end dies, leaves, unmaps or closes.

use super::{another, bystander, call_and_wait, codes, give_node, scenario};
use crate::race::Race;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::case::round_trip;
use harness::race::Step;
use harness::{Call, Case, Cx, Errno, Exchange, Transactions, check, check_eq};

pub const SCENARIOS: &[Case] = &[
    scenario(
        "call-vs-death",
        "a call to a process that is killed fails once: dead",
        call_vs_death,
    ),
    scenario(
        "reply-vs-death",
        "a caller gets the reply or hears that the replier is dead, one of them once",
        reply_vs_death,
    ),
    scenario(
        "reply-vs-caller-death",
        "a replier sees no difference when the caller is killed",
        reply_vs_caller_death,
    ),
    scenario(
        "nested-vs-exit",
        "a nested call for a thread that leaves fails or is served by another, once",
        nested_vs_exit,
    ),
    scenario(
        "call-vs-unmap",
        "a call to a process that unmaps is delivered or fails: dead",
        call_vs_unmap,
    ),
    scenario(
        "read-vs-close",
        "closing the device wakes its reader",
        read_vs_close,
    ),
    scenario(
        "exec-vs-call",
        "a thread that calls while another replaces the program leaves nothing behind",
        exec_vs_call,
    ),
    scenario(
        "poll-vs-exit",
        "a thread can leave while its epoll is told of work",
        poll_vs_exit,
    ),
];

fn kill(pid: i32) -> Vec<Step> {
    let arguments = vec![pid as u64, libc::SIGKILL as u64];
    vec![Step::Syscall(libc::SYS_kill, arguments)]
}

fn call_vs_death(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let manager = cx.manager()?;
        let call = vec![call_and_wait(Call::to(0)).into()];
        let mut ends = race.run(vec![
            (&mut client, call),
            (&mut killer, kill(manager.pid())),
        ])?;
        ends.pop().context("two ends")??;
        let returns = ends.pop().context("two ends")??.only()?.returns()?;
        let codes = codes(&returns);
        check!(
            codes == [BR_DEAD_REPLY] || codes == [BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY],
            "{returns:?}"
        );
        check_eq!(client.try_read()?, []);
        manager.kill()
    })
}

fn reply_vs_death(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let mut manager = cx.manager()?;
        client.send(&[Call::to(0).into()])?;
        manager.receive()?;
        let reply = Exchange::write(&[Call::reply().data(b"last word").into()]).into();
        let pid = manager.pid();
        // The replier may be gone before it can say how it ended.
        drop(race.run(vec![(&mut manager, vec![reply]), (&mut killer, kill(pid))])?);
        let returns = client.read()?;
        match codes(&returns).as_slice() {
            [BR_TRANSACTION_COMPLETE, BR_DEAD_REPLY] => {}
            [BR_TRANSACTION_COMPLETE, BR_REPLY] => {
                let Some(harness::Br::Delivery(reply)) = returns.last() else {
                    bail!("{returns:?}");
                };
                check_eq!(client.data(reply)?, b"last word");
                client.free(reply)?;
            }
            _ => bail!("{returns:?}"),
        }
        check_eq!(client.try_read()?, []);
        manager.kill()
    })
}

fn reply_vs_caller_death(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut killer = bystander(cx)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut killer)?;
        let mut client = cx.client()?;
        client.send(&[Call::to(0).into()])?;
        let call = manager.receive()?;
        let reply = Exchange::write(&[Call::reply().data(b"too late?").into()]).into();
        let pid = client.pid();
        for end in race.run(vec![(&mut manager, vec![reply]), (&mut killer, kill(pid))])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        check_eq!(codes(&manager.read()?), [BR_TRANSACTION_COMPLETE]);
        check_eq!(manager.try_read()?, []);
        manager.free(&call)?;
        client.kill()
    })
}

fn nested_vs_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let back = give_node(&mut client, &mut manager)?;
    let fd = client.endpoint.fd as u64;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut client)?;
        client.send(&[Call::to(0).into()])?;
        let outer = manager.receive()?;
        let nested = Exchange::write(&[Call::to(back).into()]).into();
        let exit = Step::Syscall(libc::SYS_ioctl, vec![fd, BINDER_THREAD_EXIT.into(), 0]);
        for end in race.run(vec![
            (&mut manager, vec![nested]),
            (&mut client, vec![exit]),
        ])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        // A thread that left before the call is nobody who waits: any may serve, and the
        // first read of the one that comes back returns at once.
        let returns = client.read()?;
        let served = match returns.last() {
            Some(harness::Br::Delivery(nested)) => {
                client.answer(nested, Call::reply())?;
                check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
                BR_REPLY
            }
            _ => BR_DEAD_REPLY,
        };
        let returns = manager.read()?;
        check_eq!(codes(&returns).last(), Some(&served), "{returns:?}");
        if let Some(harness::Br::Delivery(reply)) = returns.last() {
            manager.free(reply)?;
        }
        manager.write(&[Call::reply().into()])?.ok()?;
        check_eq!(codes(&manager.read()?), [BR_TRANSACTION_COMPLETE]);
        manager.free(&outer)?;
        check_eq!(client.try_read()?, []);
        round_trip(&mut client, &mut manager, Call::to(0), Call::reply()).map(drop)
    })
}

fn call_vs_unmap(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    Race::rounds(cx, |cx, race| {
        let mut manager = cx.manager()?;
        race.intruder(&mut manager)?;
        let endpoint = manager.endpoint;
        let call = Exchange::write(&[Call::to(0).data(b"whereto").into()]).into();
        let unmap = Step::Syscall(libc::SYS_munmap, vec![endpoint.base, endpoint.size]);
        for end in race.run(vec![(&mut client, vec![call]), (&mut manager, vec![unmap])])? {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        match codes(&client.try_read()?).as_slice() {
            [BR_DEAD_REPLY] => {
                check_eq!(client.extended_error()?.param, -(Errno::ESRCH as i32));
                check_eq!(manager.try_read()?, []);
            }
            [] => {
                let delivery = manager.receive()?;
                manager.answer(&delivery, Call::reply())?;
                let reply = client.receive()?;
                check_eq!(reply.code, BR_REPLY);
                client.free(&reply)?;
            }
            other => bail!("{other:x?}"),
        }
        manager.exit()
    })
}

fn read_vs_close(cx: &mut Cx) -> Result<()> {
    Race::rounds(cx, |cx, race| {
        let mut reader = cx.client()?;
        let mut other = another(&mut reader)?;
        race.intruder(&mut other)?;
        let close = Step::Syscall(libc::SYS_close, vec![reader.endpoint.fd as u64]);
        let read = vec![Exchange::read().into()];
        let mut ends = race.run(vec![(&mut reader, read), (&mut other, vec![close])])?;
        check_eq!(ends.pop().context("two ends")??.only()?.result(), Ok(()));
        let reading = ends.pop().context("two ends")??;
        let done = reading.only()?;
        match done.result() {
            Ok(()) => check_eq!(codes(&done.returns()?), []),
            Err(error) => check_eq!(error, Errno::EBADF),
        }
        drop(other);
        reader.exit()
    })
}

fn exec_vs_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    Race::rounds(cx, |cx, race| {
        let mut caller = cx.client()?;
        let mut other = another(&mut caller)?;
        race.intruder(&mut other)?;
        // A program that ends at once: its standard input is nothing to it.
        let path = other.allocate(4096)?;
        other.poke(path, b"/bin/true\0")?.context("poke")?;
        let (arguments, none) = (path + 1024, path + 2048);
        other
            .poke(arguments, &path.to_le_bytes())?
            .context("poke")?;
        let exec = Step::Syscall(libc::SYS_execve, vec![path, arguments, none]);
        let call = vec![call_and_wait(Call::to(0)).into()];
        // Neither is there afterwards to say how it ended.
        let ends = race.run(vec![(&mut caller, call), (&mut other, vec![exec])])?;
        check!(
            ends.iter().all(Result::is_err),
            "the program was not replaced"
        );
        drop(other);
        caller.kill()?;
        // The call may have gone out before.
        let returns = manager.try_read()?;
        if let Some(harness::Br::Delivery(delivery)) = returns.last() {
            let delivery = delivery.clone();
            manager.write(&[Call::reply().into()])?.ok()?;
            check_eq!(codes(&manager.read()?), [BR_TRANSACTION_COMPLETE]);
            manager.free(&delivery)?;
        }
        Ok(())
    })
}

fn poll_vs_exit(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let device = manager.endpoint.fd as u64;
    let event = manager.allocate(4096)?;
    manager.poke(event, &1u32.to_le_bytes())?.context("poke")?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut client)?;
        let epoll = manager.must(libc::SYS_epoll_create1, &[0])? as u64;
        manager.must(
            libc::SYS_epoll_ctl,
            &[epoll, libc::EPOLL_CTL_ADD as u64, device, event],
        )?;
        let exit = Step::Syscall(libc::SYS_ioctl, vec![device, BINDER_THREAD_EXIT.into(), 0]);
        let forget = Step::Syscall(
            libc::SYS_epoll_ctl,
            vec![epoll, libc::EPOLL_CTL_DEL as u64, device, event],
        );
        let send = Exchange::write(&[Call::oneway(0).into()]).into();
        for end in race.run(vec![
            (&mut manager, vec![exit, forget]),
            (&mut client, vec![send]),
        ])? {
            for done in end?.done {
                check_eq!(done.result(), Ok(()));
            }
        }
        manager.must(libc::SYS_close, &[epoll])?;
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        let delivery = manager.receive()?;
        manager.free(&delivery)
    })
}
