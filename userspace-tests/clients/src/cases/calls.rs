// SPDX-License-Identifier: GPL-2.0

//! Calls, what they carry, and how they fail.

use super::{Case, Said, Stage};
use crate::interface::{Values, code, failure};
use anyhow::{Result, bail, ensure};
use rsbinder::{ExceptionCode, StatusCode, TransactionFlags};
use std::thread;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "call_text",
        run: text,
    },
    Case {
        name: "call_every_kind_of_value",
        run: every_kind_of_value,
    },
    Case {
        name: "call_sizes",
        run: sizes,
    },
    Case {
        name: "call_too_large",
        run: too_large,
    },
    Case {
        name: "call_caller_identity",
        run: caller_identity,
    },
    Case {
        name: "call_many",
        run: many,
    },
    Case {
        name: "call_from_many_threads",
        run: from_many_threads,
    },
    Case {
        name: "call_loopers_are_spawned",
        run: loopers_are_spawned,
    },
    Case {
        name: "call_ping_and_descriptor",
        run: ping_and_descriptor,
    },
    Case {
        name: "error_unknown_code",
        run: unknown_code,
    },
    Case {
        name: "error_service_specific",
        run: service_specific,
    },
    Case {
        name: "error_exception",
        run: exception,
    },
];

fn text(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let texts = ["", "a", "grüß Gott", "日本語", "🦀 and the rest"];
    for text in texts {
        let back = service.testbed.echo(text).said("echo")?;
        ensure!(back == text, "sent {text:?}, got {back:?}");
    }
    let sum = service.testbed.add(40, 2).said("add")?;
    ensure!(sum == 42, "40 + 2 = {sum}");
    Ok(format!("{} texts came back, 40 + 2 = {sum}", texts.len()))
}

fn every_kind_of_value(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let sent = Values {
        flag: true,
        byte: i8::MIN,
        character: u16::MAX,
        int: i32::MIN,
        long: i64::MAX,
        float: f32::MIN_POSITIVE,
        double: -0.1,
        text: "ab\0cd".to_owned(),
        absent: None,
        bytes: (0..=255).collect(),
        ints: vec![i32::MIN, -1, 0, 1, i32::MAX],
        longs: vec![i64::MIN, 0, i64::MAX],
        texts: vec![String::new(), "x".repeat(1000)],
    };
    let back = service.testbed.echo_values(&sent).said("echo_values")?;
    ensure!(back == sent, "sent {sent:?}, got {back:?}");
    let empty = Values::default();
    ensure!(
        service.testbed.echo_values(&empty).said("echo_values")? == empty,
        "the empty values changed"
    );
    Ok("13 kinds of value came back unchanged".to_owned())
}

/// `length` bytes that differ from place to place and from length to length.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| (place.wrapping_mul(31) ^ length ^ (place >> 8)).to_le_bytes()[0])
        .collect()
}

fn sizes(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let page = 4096_usize;
    let mut count = 0;
    let around_pages = (1..=4).flat_map(|pages| (0..24).map(move |less| pages * page - less));
    for length in [0, 1, 7, 64, 65, 1000, 65_535, 65_536, 400_000]
        .into_iter()
        .chain(around_pages)
    {
        let sent = pattern(length);
        let back = service.testbed.echo_bytes(&sent).said("echo_bytes")?;
        ensure!(back == sent, "{length} bytes changed on their way");
        count += 1;
    }
    Ok(format!("{count} sizes up to 400 000 bytes came back"))
}

fn too_large(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    // More than the service has mapped.
    match service.testbed.echo_bytes(&pattern(2 << 20)) {
        Ok(_) => bail!("2 MiB fitted into a mapping of 1 MiB"),
        Err(error) => {
            let status = error.transaction_error();
            ensure!(
                status == StatusCode::FailedTransaction,
                "failed with {status:?}"
            );
        }
    }
    let sent = pattern(500_000);
    ensure!(
        service.testbed.echo_bytes(&sent).said("echo_bytes")? == sent,
        "the next call changed its bytes"
    );
    Ok("2 MiB refused, the next call served".to_owned())
}

fn caller_identity(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let caller = service.testbed.caller().said("caller")?;
    let (pid, uid) = (std::process::id(), rustix::process::geteuid().as_raw());
    ensure!(
        caller.pid.cast_unsigned() == pid,
        "called by {pid}, the service saw {}",
        caller.pid
    );
    ensure!(
        caller.uid.cast_unsigned() == uid,
        "called as user {uid}, the service saw {}",
        caller.uid
    );
    let served_by = caller.service_pid.cast_unsigned();
    ensure!(
        served_by == service.process.id(),
        "served by {served_by}, not by {}",
        service.process.id()
    );
    Ok(format!("process {pid}, user {uid}"))
}

fn many(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    for number in 0..3000 {
        let sum = service.testbed.add(number, 1).said("add")?;
        ensure!(sum == number + 1, "{number} + 1 = {sum}");
    }
    Ok("3000 calls, each with its own answer".to_owned())
}

fn from_many_threads(stage: &Stage) -> Result<String> {
    let (threads, calls) = (8, 250);
    let service = stage.serve()?;
    let testbed = &service.testbed;
    thread::scope(|scope| {
        let callers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || -> Result<()> {
                    for number in 0..calls {
                        let text = format!("{thread}/{number}");
                        let back = testbed.echo(&text).said("echo")?;
                        ensure!(back == text, "thread {thread} sent {text}, got {back}");
                    }
                    Ok(())
                })
            })
            .collect();
        callers
            .into_iter()
            .try_for_each(|caller| match caller.join() {
                Ok(outcome) => outcome,
                Err(_) => bail!("a calling thread panicked"),
            })
    })?;
    Ok(format!(
        "{threads} threads, {} calls, no answer mixed up",
        threads * calls
    ))
}

fn loopers_are_spawned(stage: &Stage) -> Result<String> {
    // Every call waits inside the service until all are there: only as many threads as calls can answer them.
    let callers = 6;
    let service = stage.serve()?;
    let testbed = &service.testbed;
    let met = thread::scope(|scope| {
        let waiting: Vec<_> = (0..callers)
            .map(|_| scope.spawn(|| testbed.meet(callers).said("meet")))
            .collect();
        waiting
            .into_iter()
            .map(|caller| {
                caller
                    .join()
                    .unwrap_or_else(|_| bail!("a calling thread panicked"))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    ensure!(
        met.iter().all(|&met| met == callers),
        "inside at once: {met:?}"
    );
    Ok(format!("{callers} calls were inside the service at once"))
}

fn ping_and_descriptor(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let binder = service.testbed.as_binder();
    binder.ping_binder()?;
    ensure!(binder.is_remote(), "the service counts as local");
    let descriptor = binder.descriptor().to_owned();
    ensure!(
        descriptor == crate::interface::TESTBED_DESCRIPTOR,
        "it calls itself {descriptor}"
    );
    Ok(descriptor)
}

fn unknown_code(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let binder = service.testbed.as_binder();
    let Some(remote) = binder.as_remote() else {
        bail!("the service is not remote")
    };
    let request = remote.prepare_transact(true)?;
    match remote.submit_transact(code::UNKNOWN, &request, TransactionFlags::default()) {
        Err(StatusCode::UnknownTransaction) => {}
        other => bail!(
            "expected UnknownTransaction, got {:?}",
            other.map(|reply| reply.is_some())
        ),
    }
    ensure!(service.testbed.add(1, 1).said("add")? == 2, "wrong sum");
    Ok("the service's own error came back, the next call was served".to_owned())
}

fn service_specific(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let Err(status) = service.testbed.fail(failure::SERVICE_SPECIFIC) else {
        bail!("it did not fail")
    };
    ensure!(
        status.exception_code() == ExceptionCode::ServiceSpecific,
        "{:?}",
        status.exception_code()
    );
    ensure!(
        status.service_specific_error() == -77,
        "number {}",
        status.service_specific_error()
    );
    ensure!(
        status.message() == Some("seventy-seven"),
        "message {:?}",
        status.message()
    );
    Ok("number and message came back".to_owned())
}

fn exception(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let Err(status) = service.testbed.fail(failure::EXCEPTION) else {
        bail!("it did not fail")
    };
    ensure!(
        status.exception_code() == ExceptionCode::IllegalState,
        "{:?}",
        status.exception_code()
    );
    let Err(status) = service.testbed.add(i32::MAX, 1) else {
        bail!("the sum did not overflow")
    };
    ensure!(
        status.exception_code() == ExceptionCode::IllegalArgument,
        "{:?}",
        status.exception_code()
    );
    ensure!(
        status.message() == Some("the sum overflows"),
        "message {:?}",
        status.message()
    );
    Ok("two kinds of exception came back".to_owned())
}
