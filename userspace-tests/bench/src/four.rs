// SPDX-License-Identifier: GPL-2.0

//! Four client processes that call one server with four loopers, all at once.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::thread;

use anyhow::{Context, Result};

use crate::child::{self, Child};
use crate::clock::Clock;
use crate::conn::Connection;
use crate::marker;
use crate::measure::Plan;
use crate::peer::{self, Action, Client, Parcel};
use binder_bench::results::Sample;

/// Clients, and loopers of the server.
const COUNT: usize = 4;

/// The server and its clients, waiting to be told how many calls to make.
pub struct Crowd {
    clients: Vec<Caller>,
    _server: Child,
}

struct Caller {
    orders: File,
    answers: File,
    _process: Child,
}

impl Crowd {
    /// Starts all processes.
    pub fn start(device: &Path) -> Result<Self> {
        let server = Child::start(|ready| {
            let connection = Connection::open(device)?;
            connection.become_manager()?;
            ready.tell()?;
            thread::scope(|scope| {
                let loopers: Vec<_> = (0..COUNT)
                    .map(|_| scope.spawn(|| peer::serve(&connection, |_| {})))
                    .collect();
                loopers
                    .into_iter()
                    .try_for_each(|looper| looper.join().expect("a looper panicked"))
            })
        })?;
        let clients = (0..COUNT)
            .map(|_| Caller::start(device))
            .collect::<Result<_>>()?;
        Ok(Self {
            clients,
            _server: server,
        })
    }

    /// Lets each client make its part of so many calls, and waits until all have.
    pub fn run(&mut self, calls: usize) -> Result<()> {
        let order = ((calls / COUNT) as u64).to_ne_bytes();
        for client in &mut self.clients {
            client.orders.write_all(&order)?;
        }
        for client in &mut self.clients {
            client
                .answers
                .read_exact(&mut [0])
                .context("a client ended before its calls were made")?;
        }
        Ok(())
    }

    /// Runs a plan. What it gives is the mean: calls of different clients overlap.
    pub fn measure<C: Clock>(&mut self, plan: Plan) -> Result<Sample> {
        let calls = plan.rounds.next_multiple_of(COUNT);
        self.run(plan.warmup.next_multiple_of(COUNT))?;
        marker::start();
        let start = C::now();
        self.run(calls)?;
        let total = C::now() - start;
        marker::stop();
        Ok(Sample::from_total(C::UNIT, calls as u64, total))
    }
}

impl Caller {
    fn start(device: &Path) -> Result<Self> {
        let (mut orders_in, orders) = child::pipe()?;
        let (answers, mut answers_out) = child::pipe()?;
        let process = Child::start(|ready| {
            let mut client = Client::new(device)?;
            ready.tell()?;
            let mut order = [0; 8];
            while orders_in.read_exact(&mut order).is_ok() {
                for _ in 0..u64::from_ne_bytes(order) {
                    client.call(Action::Answer, Parcel::default())?;
                }
                answers_out.write_all(&[1])?;
            }
            Ok(())
        })?;
        Ok(Self {
            orders,
            answers,
            _process: process,
        })
    }
}
