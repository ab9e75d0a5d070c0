// SPDX-License-Identifier: GPL-2.0

//! Calls that do not wait.

use super::{Case, Recording, Said, Stage, patience};
use anyhow::{Context, Result, ensure};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "oneway_order",
        run: order,
    },
    Case {
        name: "oneway_to_callback",
        run: to_callback,
    },
    Case {
        name: "oneway_then_call",
        run: then_call,
    },
];

fn order(stage: &Stage) -> Result<String> {
    let count = 800;
    let service = stage.serve()?;
    for number in 0..count {
        service.testbed.note(number).said("note")?;
    }
    let notes = service.testbed.notes(count).said("notes")?;
    let expected: Vec<_> = (0..count).collect();
    ensure!(
        notes.numbers == expected,
        "{} arrived, not in the order sent",
        notes.numbers.len()
    );
    ensure!(
        notes.most_at_once == 1,
        "{} ran at once",
        notes.most_at_once
    );
    ensure!(
        notes.senders == [0],
        "senders shown: {:?}, oneway calls have none",
        notes.senders
    );
    Ok(format!(
        "{count} arrived in order, one at a time, without a sender"
    ))
}

fn to_callback(stage: &Stage) -> Result<String> {
    let count = 300;
    let service = stage.serve()?;
    let recording = Recording::new();
    service
        .testbed
        .notify(&recording.callback, count)
        .said("notify")?;
    for expected in 0..count {
        let number = recording
            .numbers
            .recv_timeout(patience())
            .context("a callback is missing")?;
        ensure!(number == expected, "{number} arrived instead of {expected}");
    }
    ensure!(
        recording.numbers.try_recv().is_err(),
        "more arrived than were sent"
    );
    Ok(format!("{count} from the service, in order"))
}

fn then_call(stage: &Stage) -> Result<String> {
    // A call may overtake oneway calls to the same binder, but must not lose them or be stopped by them.
    let service = stage.serve()?;
    for number in 0..100 {
        service.testbed.note(number).said("note")?;
        let sum = service.testbed.add(number, 1).said("add")?;
        ensure!(sum == number + 1, "{number} + 1 = {sum}");
    }
    let notes = service.testbed.notes(100).said("notes")?;
    ensure!(
        notes.numbers.len() == 100,
        "{} of 100 arrived",
        notes.numbers.len()
    );
    Ok("100 of each kind, in turn".to_owned())
}
