// SPDX-License-Identifier: GPL-2.0

//! Open files that travel.

use super::{Case, Said, Stage, patience};
use crate::service::{eventually, open_files, sendable};
use anyhow::{Result, ensure};
use rsbinder::ParcelFileDescriptor;
use rustix::fs::fstat;
use std::io::{Read, Write};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "file_from_service",
        run: from_service,
    },
    Case {
        name: "file_to_service",
        run: to_service,
    },
    Case {
        name: "file_many_both_ways",
        run: many_both_ways,
    },
    Case {
        name: "file_close_on_exec",
        run: close_on_exec,
    },
    Case {
        name: "file_none_left_open",
        run: none_left_open,
    },
];

fn from_service(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let mut pipe = service
        .testbed
        .open_pipe("through a pipe")
        .said("open_pipe")?;
    let mut text = String::new();
    pipe.read_to_string(&mut text)?;
    ensure!(text == "through a pipe", "read {text:?}");
    Ok(format!(
        "read {text:?} from the service's pipe, up to its end"
    ))
}

fn to_service(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let (reader, mut writer) = ParcelFileDescriptor::pipe()?;
    writer.write_all(b"written before the call")?;
    drop(writer);
    let text = service.testbed.read_all(&reader).said("read_all")?;
    ensure!(
        text == "written before the call",
        "the service read {text:?}"
    );
    Ok(format!(
        "the service read {text:?} from the client's pipe, up to its end"
    ))
}

fn many_both_ways(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let sent = (0..20)
        .map(|_| Ok(sendable(tempfile()?)))
        .collect::<Result<Vec<_>>>()?;
    let back = service.testbed.reverse_files(&sent).said("reverse_files")?;
    ensure!(
        back.len() == sent.len(),
        "{} of {} came back",
        back.len(),
        sent.len()
    );
    for (sent, back) in sent.iter().zip(back.iter().rev()) {
        let (sent, back) = (fstat(sent)?, fstat(back)?);
        ensure!(
            (sent.st_dev, sent.st_ino) == (back.st_dev, back.st_ino),
            "another file came back"
        );
    }
    Ok(format!(
        "{} files there and back, in reverse order",
        sent.len()
    ))
}

fn close_on_exec(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let pipe = service.testbed.open_pipe("x").said("open_pipe")?;
    let flags = rustix::io::fcntl_getfd(&pipe)?;
    ensure!(
        flags.contains(rustix::io::FdFlags::CLOEXEC),
        "the received file has flags {flags:?}"
    );
    Ok("a received file does not leak into programs started later".to_owned())
}

fn none_left_open(stage: &Stage) -> Result<String> {
    let service = stage.serve()?;
    let round = || -> Result<()> {
        drop(service.testbed.open_pipe("x").said("open_pipe")?);
        let (reader, writer) = ParcelFileDescriptor::pipe()?;
        drop(writer);
        service.testbed.read_all(&reader).said("read_all")?;
        service
            .testbed
            .reverse_files(&[reader])
            .said("reverse_files")?;
        Ok(())
    };
    // The first round may open things for good.
    round()?;
    let settled = |limit: i32| {
        eventually(patience(), || {
            service
                .testbed
                .open_files()
                .is_ok_and(|count| count <= limit)
        })
    };
    let (here, there) = (
        open_files()?,
        service.testbed.open_files().said("open_files")?,
    );
    for _ in 0..200 {
        round()?;
    }
    ensure!(
        open_files()? <= here,
        "{here} files open in the client became {}",
        open_files()?
    );
    ensure!(
        settled(there),
        "{there} files open in the service became {:?}",
        service.testbed.open_files()
    );
    Ok(format!(
        "after 200 rounds as before: {here} open here, {there} there"
    ))
}

/// A file without a name.
fn tempfile() -> Result<std::fs::File> {
    Ok(rustix::fs::memfd_create("travelling", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}
