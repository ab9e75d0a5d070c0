// SPDX-License-Identifier: GPL-2.0

//! The test cases that use libgbinder: its tools, and its Python binding.
//!
//! libgbinder speaks to the same service manager and the same services as `rsbinder`, with code that shares nothing with it,
//! and uses the driver differently: it polls, and it sends scatter-gather transactions.

use crate::interface::{TESTBED_DESCRIPTOR, code};
use crate::process::{self, Process};
use crate::report::Report;
use crate::role::Role;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Dialect of the service manager that `rsb_hub` speaks, in libgbinder's names.
const MANAGER_DIALECT: &str = "aidl6";
/// Dialect of the request header that goes with it.
const WIRE_DIALECT: &str = "aidl3";
/// Where libgbinder looks for additions to its configuration.
const CONFIGURATION: &str = "/etc/gbinder.d/90-clients-test.conf";

/// What the cases need: the device, and a service registered on it.
struct Stage<'a> {
    device: &'a str,
    service: &'a str,
    limit: Duration,
}

type Case = (&'static str, fn(&Stage<'_>) -> Result<String>);

const CASES: &[Case] = &[
    ("gbinder_list", list),
    ("gbinder_ping", ping),
    ("gbinder_ping_rsbinder", ping_rsbinder),
    ("gbinder_ping_nobody", ping_nobody),
    ("gbinder_call", call),
    ("gbinder_python_calls", python_calls),
    ("gbinder_python_serves", python_serves),
    ("gbinder_buffers", buffers),
];

/// Runs every case whose name contains `filter`. Needs a running service manager on `device`.
pub fn run(report: &mut Report, device: &str, filter: &str, limit: Duration) {
    let cases: Vec<_> = CASES
        .iter()
        .filter(|(name, _)| name.contains(filter))
        .collect();
    if cases.is_empty() {
        return;
    }
    let name = format!("test.gbinder.{}", std::process::id());
    let start = || -> Result<(Configuration, Process)> {
        let role = Role::Serve {
            device: device.to_owned(),
            name: name.clone(),
            parent: std::process::id(),
        };
        Ok((
            Configuration::write(device)?,
            Process::start_with_ready(&mut role.command()?, limit)?,
        ))
    };
    match start() {
        Ok((_configuration, _service)) => {
            let stage = Stage {
                device,
                service: &name,
                limit,
            };
            for (name, case) in cases {
                report.run(name, || case(&stage));
            }
        }
        // Without these no case can run: each of them fails.
        Err(error) => {
            for (name, _) in cases {
                report.run(name, || bail!("{error:#}"));
            }
        }
    }
}

impl Stage<'_> {
    /// Runs a tool to its end and returns its exit code and output.
    fn tool(&self, name: &str, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(name);
        command.args(["-d", self.device]).args(arguments);
        let (status, tool) = process::run(&mut command, self.limit)
            .with_context(|| format!("{name} of libgbinder-tools"))?;
        Ok((status.code(), tool.words()))
    }

    /// Starts a service written in Python; returns the name it registered.
    fn python_service(&self) -> Result<(String, Process)> {
        let name = format!("{}.python", self.service);
        let mut command = self.python(include_str!("../gbinder/serve.py"), &name);
        let server =
            Process::start_with_ready(&mut command, self.limit).context("python3-gbinder")?;
        Ok((name, server))
    }

    /// A Python script with the arguments all of them take.
    fn python(&self, script: &str, service: &str) -> Command {
        let mut command = Command::new("python3");
        command.args([
            "-c",
            script,
            self.device,
            MANAGER_DIALECT,
            WIRE_DIALECT,
            service,
            TESTBED_DESCRIPTOR,
        ]);
        command
    }
}

fn list(stage: &Stage<'_>) -> Result<String> {
    let (status, output) = stage.tool("binder-list", &[])?;
    ensure!(status == Some(0), "exit {status:?}: {output}");
    ensure!(
        output.contains(stage.service),
        "{} is not in: {output}",
        stage.service
    );
    ensure!(
        output.contains("manager"),
        "the service manager is not in: {output}"
    );
    Ok(format!(
        "{} lines, the service among them",
        output.lines().count()
    ))
}

fn ping(stage: &Stage<'_>) -> Result<String> {
    // A libgbinder service answers the pings of both dialects.
    let (name, _server) = stage.python_service()?;
    let (status, output) = stage.tool("binder-ping", &[&name])?;
    ensure!(status == Some(0), "exit {status:?}: {output}");
    Ok(output.replace('\n', ", "))
}

fn ping_rsbinder(stage: &Stage<'_>) -> Result<String> {
    let (status, output) = stage.tool("binder-ping", &[stage.service])?;
    // The tool pings in AIDL on the device of this very name, in HIDL on any other.
    if stage.device == "/dev/binder" {
        ensure!(status == Some(0), "exit {status:?}: {output}");
        return Ok(output);
    }
    // The service does not know that ping: its refusal must come back as it was sent (-EBADMSG).
    ensure!(
        status.is_some_and(|code| code != 0) && output.contains("(-74)"),
        "exit {status:?}: {output}"
    );
    Ok("a HIDL ping is refused by the service itself".to_owned())
}

fn ping_nobody(stage: &Stage<'_>) -> Result<String> {
    let (status, output) = stage.tool("binder-ping", &["test.nobody"])?;
    ensure!(
        status.is_some_and(|code| code != 0),
        "exit {status:?}: {output}"
    );
    ensure!(output.contains("not found"), "it said: {output}");
    Ok(output)
}

fn call(stage: &Stage<'_>) -> Result<String> {
    // The tool's exit code says nothing: it is the same for an answer and for none.
    let (echo, add) = (code::ECHO.to_string(), code::ADD.to_string());
    let echoing = [
        "--aidl",
        stage.service,
        &echo,
        "\"over the wire\"u",
        "reply",
        "i32",
        "s16",
    ];
    let (_, echoed) = stage.tool("binder-call", &echoing)?;
    ensure!(
        echoed.starts_with("0 \"over the wire\""),
        "echo printed: {echoed}"
    );
    let adding = [
        "--aidl",
        stage.service,
        &add,
        "40",
        "2",
        "reply",
        "i32",
        "i32",
    ];
    let (_, added) = stage.tool("binder-call", &adding)?;
    ensure!(added == "0 42", "add printed: {added}");
    Ok(format!("echo: {echoed}, add: {added}"))
}

fn python_calls(stage: &Stage<'_>) -> Result<String> {
    let mut command = stage.python(include_str!("../gbinder/call.py"), stage.service);
    let (status, python) = process::run(&mut command, stage.limit).context("python3-gbinder")?;
    ensure!(status.success(), "{status}: {}", python.words());
    Ok(python.output())
}

fn python_serves(stage: &Stage<'_>) -> Result<String> {
    let (name, server) = stage.python_service()?;
    let role = Role::Call {
        device: stage.device.to_owned(),
        name,
        parent: std::process::id(),
    };
    let (status, client) = process::run(&mut role.command()?, stage.limit)?;
    ensure!(
        status.success(),
        "{status}: {}; the service: {}",
        client.words(),
        server.words()
    );
    ensure!(
        client.output() == "echo: grüß Gott\nadd: 42",
        "it answered: {}",
        client.output()
    );
    Ok("an rsbinder client got its answers from Python".to_owned())
}

fn buffers(stage: &Stage<'_>) -> Result<String> {
    let script = include_str!("../gbinder/buffers.py");
    let name = format!("{}.buffers", stage.service);
    let server = Process::start_with_ready(stage.python(script, &name).arg("serve"), stage.limit)?;
    let (status, client) = process::run(stage.python(script, &name).arg("call"), stage.limit)?;
    ensure!(
        status.success(),
        "{status}: {}; the service: {}",
        client.words(),
        server.words()
    );
    Ok(client.output())
}

/// libgbinder's configuration for a device by another name than Android's; removed at the end.
struct Configuration(PathBuf);

impl Configuration {
    fn write(device: &str) -> Result<Self> {
        let path = Path::new(CONFIGURATION);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = format!(
            "[General]\nApiLevel = 36\n[Protocol]\n{device} = {WIRE_DIALECT}\n[ServiceManager]\n{device} = {MANAGER_DIALECT}\n"
        );
        fs::write(path, text).with_context(|| format!("writing {CONFIGURATION}"))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
