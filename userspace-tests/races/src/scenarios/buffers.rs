// SPDX-License-Identifier: GPL-2.0

//! Buffers that are freed while they are filled, read, or freed.

use super::{NODE, another, codes, scenario};
use crate::race::Race;
use anyhow::{Context, Result, bail};
use binder_abi::*;
use harness::race::Step;
use harness::returns::Br;
use harness::thread::PAGE;
use harness::{Bc, Call, Case, Cx, Exchange, Parcel, Process, Transactions, check, check_eq};
use std::path::Path;

pub const SCENARIOS: &[Case] = &[
    scenario(
        "free-vs-deliver",
        "who guesses the address of a buffer that is being read does no harm",
        free_vs_deliver,
    ),
    scenario(
        "free-vs-fill",
        "who guesses the address of a buffer that is being filled does no harm",
        free_vs_fill,
    ),
    scenario(
        "free-vs-free",
        "two threads that free a buffer free it once",
        free_vs_free,
    ),
    scenario(
        "oneway-vs-free",
        "a node's next oneway call is delivered once, however the one before is freed",
        oneway_vs_free,
    ),
    scenario(
        "reclaim-vs-call",
        "reclaim does not take pages of a buffer in use",
        reclaim_vs_call,
    ),
    scenario(
        "reclaim-vs-close",
        "no page outlives the file that it was for, whatever reclaim does meanwhile",
        reclaim_vs_close,
    ),
];

/// Frees the same address several times, to be there at the right moment.
fn frees(address: u64) -> Vec<Step> {
    vec![Exchange::write(&vec![Bc::FreeBuffer(address); 4]).into()]
}

fn free_vs_deliver(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut other)?;
        let guess = manager.endpoint.base;
        let data = vec![race.choose(256) as u8; 8 + race.choose(64) as usize];
        client.send(&[Call::oneway(0).data(&data).into()])?;
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        let read = vec![Exchange::read().into()];
        let mut ends = race.run(vec![(&mut manager, read), (&mut other, frees(guess))])?;
        let freeing = ends.pop().context("two ends")??;
        check_eq!(freeing.only()?.result(), Ok(()));
        let returns = ends.pop().context("two ends")??.only()?.returns()?;
        let [.., Br::Delivery(delivery)] = returns.as_slice() else {
            bail!("{returns:?}");
        };
        check_eq!(delivery.data.buffer, guess);
        check_eq!(manager.data(delivery)?, data);
        manager.free(delivery)
    })
}

fn free_vs_fill(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut manager)?;
        let guess = manager.endpoint.base;
        let data = vec![race.choose(256) as u8; 8 + race.choose(64) as usize];
        let send = Exchange::write(&[Call::oneway(0).data(&data).into()]).into();
        let ends = race.run(vec![
            (&mut client, vec![send]),
            (&mut manager, frees(guess)),
        ])?;
        for end in ends {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        let delivery = manager.receive()?;
        check_eq!(delivery.data.buffer, guess);
        check_eq!(manager.data(&delivery)?, data);
        manager.free(&delivery)
    })
}

fn free_vs_free(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut other = another(&mut manager)?;
    let mut client = cx.client()?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut other)?;
        let parcel = Parcel::new().binder(NODE.0, NODE.1);
        client.send(&[Call::oneway(0).parcel(parcel).into()])?;
        let told = client.read()?;
        client.acknowledge(&told)?;
        let delivery = manager.receive()?;
        let address = delivery.data.buffer;
        let free = || vec![Exchange::write(&[Bc::FreeBuffer(address)]).into()];
        let ends = race.run(vec![(&mut manager, free()), (&mut other, free())])?;
        for end in ends {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        check_eq!(codes(&client.read()?), [BR_RELEASE, BR_DECREFS]);
        check_eq!(client.try_read()?, []);
        check_eq!(address, manager.endpoint.base);
        Ok(())
    })
}

fn oneway_vs_free(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    client.send(&[Call::oneway(0).code(0).into()])?;
    check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
    let mut running = manager.receive()?;
    let mut number = 0;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut client)?;
        number += 1;
        let free = Exchange::write(&[Bc::FreeBuffer(running.data.buffer)]).into();
        let send = Exchange::write(&[Call::oneway(0).code(number).into()]).into();
        let ends = race.run(vec![(&mut manager, vec![free]), (&mut client, vec![send])])?;
        for end in ends {
            check_eq!(end?.only()?.result(), Ok(()));
        }
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        running = manager.receive()?;
        check_eq!(running.data.code, number);
        check_eq!(manager.try_read()?, []);
        Ok(())
    })
}

/// Prepares a process to have the kernel reclaim what it can.
fn reclaim(process: &mut Process) -> Result<Step> {
    let file = process
        .open_raw(Path::new("/proc/sys/vm/drop_caches"), libc::O_WRONLY)?
        .context("open")? as u64;
    let text = process.allocate(PAGE)?;
    process.poke(text, b"2\n")?.context("poke")?;
    Ok(Step::Syscall(libc::SYS_write, vec![file, text, 2]))
}

fn reclaim_vs_call(cx: &mut Cx) -> Result<()> {
    let mut manager = cx.manager()?;
    let mut client = cx.client()?;
    let mut other = cx.process()?;
    let reclaim = reclaim(&mut other)?;
    Race::rounds(cx, |_, race| {
        race.intruder(&mut other)?;
        let size = 1 + race.choose(5 * 4096) as usize;
        let data: Vec<u8> = (0..size).map(|at| (at / 3) as u8).collect();
        let send = Exchange::write(&[Call::oneway(0).data(&data).into()]).into();
        let ends = race.run(vec![
            (&mut client, vec![send]),
            (&mut other, vec![reclaim.clone(); 2]),
        ])?;
        for end in ends {
            for done in end?.done {
                check!(done.result().is_ok(), "{done:?}");
            }
        }
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        let delivery = manager.receive()?;
        check_eq!(manager.data(&delivery)?, data);
        manager.free(&delivery)
    })
}

/// Pages go with the file. Those of a buffer that nobody frees are in use until the very end, so there
/// is but one chance for it. The program that runs the scenarios sees, by the driver's own count,
/// whether all went.
fn reclaim_vs_close(cx: &mut Cx) -> Result<()> {
    let mut client = cx.client()?;
    let mut other = cx.process()?;
    let reclaim = reclaim(&mut other)?;
    Race::rounds(cx, |cx, race| {
        race.intruder(&mut other)?;
        let mut manager = cx.manager()?;
        let endpoint = manager.endpoint;
        let data = vec![1; (1 + race.choose(100) * PAGE) as usize];
        client.send(&[Call::oneway(0).data(&data).into()])?;
        check_eq!(codes(&client.read()?), [BR_TRANSACTION_COMPLETE]);
        manager.receive()?;
        // What closes the file is the end of it then.
        manager.must(libc::SYS_munmap, &[endpoint.base, endpoint.size])?;
        let close = Step::Syscall(libc::SYS_close, vec![endpoint.fd as u64]);
        for end in race.run(vec![
            (&mut manager, vec![close]),
            (&mut other, vec![reclaim.clone(); 2]),
        ])? {
            for done in end?.done {
                check!(done.result().is_ok(), "{done:?}");
            }
        }
        manager.exit()
    })
}
