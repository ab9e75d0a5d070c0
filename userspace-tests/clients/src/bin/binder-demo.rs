// SPDX-License-Identifier: GPL-2.0

//! A conversation over binder, for people to read: a service registers, a client finds it and calls it.

use anyhow::{Context, Result, anyhow, ensure};
use clap::Parser;
use clients::hub::{self, Hub};
use clients::interface::{BnCallback, ICallback, ITestbed};
use clients::process::Process;
use clients::role::{self, Role};
use rsbinder::{
    BinderResult, DeathRecipient, Interface, ParcelFileDescriptor, Status, Strong, WIBinder,
};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Name the service goes by.
const NAME: &str = "demo.testbed";
/// Longest time any step may take.
fn patience() -> Duration {
    patience::seconds(30)
}

/// A service registered with rsb_hub, found and called over a binder device, step by step.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Options {
    /// Binder device to talk over.
    #[arg(long, default_value = "/dev/binder")]
    device: String,
    /// The service manager; by default rsb_hub beside this program or in PATH.
    #[arg(long)]
    hub: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match options.role {
        Some(role) => role.play(),
        None => converse(&options.device, options.hub),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints one line of the transcript.
fn line(who: &str, what: &str) {
    println!("  {who:>8} │ {what}");
}

/// Makes a call, prints it with what came back, and returns that.
fn call<T>(
    what: &str,
    make: impl FnOnce() -> BinderResult<T>,
    show: impl FnOnce(&T) -> String,
) -> Result<T> {
    let answer = make().map_err(|status: Status| anyhow!("{what}: {status}"))?;
    line("client", &format!("{what:<34} → {}", show(&answer)));
    Ok(answer)
}

fn converse(device: &str, told: Option<PathBuf>) -> Result<()> {
    println!(
        "\nA conversation over {device}, served by {}\n",
        driver_of(device)?
    );
    let mut hub = Hub::start(&hub::find(told)?, device, patience())?;
    line(
        "rsb_hub",
        "owns handle 0: it is the service manager of this device",
    );

    let serve = Role::Serve {
        device: device.to_owned(),
        name: NAME.to_owned(),
        parent: std::process::id(),
    };
    let mut service = Process::start_with_ready(&mut serve.command()?, patience())?;
    line(
        "service",
        &format!("process {} registered \"{NAME}\"", service.id()),
    );

    role::open(device)?;
    let testbed: Strong<dyn ITestbed> =
        rsbinder::hub::check_interface(NAME).context("looking the service up")?;
    let handle = testbed
        .as_binder()
        .as_proxy()
        .map(|proxy| proxy.handle())
        .context("a local service?")?;
    line(
        "client",
        &format!(
            "process {} asked for \"{NAME}\" and got handle {handle}",
            std::process::id()
        ),
    );

    let echoed = call(
        "echo(\"hello from the client\")",
        || testbed.echo("hello from the client"),
        |text| format!("{text:?}"),
    )?;
    ensure!(
        echoed == "hello from the client",
        "the text changed on its way"
    );
    let sum = call("add(40, 2)", || testbed.add(40, 2), i32::to_string)?;
    ensure!(sum == 42, "wrong sum");
    let bytes = vec![0x5a; 256 << 10];
    let back = call(
        "echo_bytes(256 KiB)",
        || testbed.echo_bytes(&bytes),
        |bytes| format!("{} KiB", bytes.len() >> 10),
    )?;
    ensure!(back == bytes, "the bytes changed on their way");
    let caller = call(
        "caller()",
        || testbed.caller(),
        |caller| format!("process {}, user {}", caller.pid, caller.uid),
    )?;
    ensure!(
        caller.pid.cast_unsigned() == std::process::id(),
        "the driver named the wrong caller"
    );

    let (sender, notes) = channel();
    let callback = BnCallback::new_binder(Callback(sender));
    let path = call(
        "bounce(callback, 3)",
        || testbed.bounce(&callback, 3),
        |trace| names(trace, service.id()),
    )?;
    ensure!(path.len() == 4, "the nested calls went {} deep", path.len());
    call(
        "notify(callback, 3), three oneway calls back",
        || testbed.notify(&callback, 3),
        |()| "sent".to_owned(),
    )?;
    let arrived = (0..3)
        .map(|_| notes.recv_timeout(patience()))
        .collect::<Result<Vec<_>, _>>()?;
    line(
        "callback",
        &format!("oneway calls arrived in order: {arrived:?}"),
    );
    ensure!(arrived == [0, 1, 2], "the order changed on the way");

    let mut pipe = call(
        "open_pipe(\"bytes in a pipe\")",
        || testbed.open_pipe("bytes in a pipe"),
        |_| "a file descriptor".to_owned(),
    )?;
    let mut text = String::new();
    pipe.read_to_string(&mut text)?;
    line(
        "client",
        &format!("read {text:?} from the descriptor the service sent"),
    );
    let (reader, mut writer) = ParcelFileDescriptor::pipe()?;
    writer.write_all(b"bytes the other way")?;
    drop(writer);
    call(
        "read_all(descriptor)",
        || testbed.read_all(&reader),
        |text| format!("{text:?}"),
    )?;

    let (sender, told) = channel();
    let mourner = Arc::new(Mourner(sender));
    testbed.as_binder().link_to_death_arc(&mourner)?;
    line(
        "client",
        "asked to be told when the service dies; now it is killed",
    );
    service.kill()?;
    told.recv_timeout(patience())
        .context("nobody told the client")?;
    line("driver", "told the client that the service has died");
    let after = testbed.add(1, 1);
    ensure!(after.is_err(), "a dead service answered");
    line(
        "client",
        &format!(
            "add(1, 1) → {}",
            after
                .err()
                .map(|status| format!("{:?}", status.transaction_error()))
                .unwrap_or_default()
        ),
    );
    ensure!(hub.is_alive()?, "the service manager died: {}", hub.words());
    println!(
        "\nAll of this went over {device}, served by {}.\n",
        driver_of(device)?
    );
    Ok(())
}

/// The path of nested calls, by the names of the two sides.
fn names(trace: &[i32], service: u32) -> String {
    let name = |&pid: &i32| {
        if pid.cast_unsigned() == service {
            "service"
        } else {
            "client"
        }
    };
    trace.iter().map(name).collect::<Vec<_>>().join(" ⇒ ")
}

/// Which loaded driver serves `device`: the C driver says which names it took, and only two drivers exist here.
fn driver_of(device: &str) -> Result<String> {
    let path = Path::new(device)
        .canonicalize()
        .with_context(|| format!("{device} is not there"))?;
    let name = path
        .file_name()
        .context("the device has no name")?
        .to_string_lossy()
        .into_owned();
    let taken =
        std::fs::read_to_string("/sys/module/binder_linux/parameters/devices").unwrap_or_default();
    Ok(if taken.trim().split(',').any(|one| one == name) {
        "the kernel's C driver (module binder_linux)".to_owned()
    } else if Path::new("/sys/module/rust_binder").exists() {
        "this project's Rust driver (module rust_binder)".to_owned()
    } else {
        "a driver this program does not know".to_owned()
    })
}

/// Passes on the numbers it is called with.
struct Callback(Sender<i32>);

impl Interface for Callback {}

impl ICallback for Callback {
    fn bounced(
        &self,
        service: &Strong<dyn ITestbed>,
        callback: &Strong<dyn ICallback>,
        depth: i32,
    ) -> BinderResult<Vec<i32>> {
        let mut trace = vec![std::process::id().cast_signed()];
        if depth > 0 {
            trace.extend(service.bounce(callback, depth - 1)?);
        }
        Ok(trace)
    }

    fn noted(&self, number: i32) -> BinderResult<()> {
        // The conversation may be over by now.
        let _ = self.0.send(number);
        Ok(())
    }
}

/// Passes on the death it is told of.
struct Mourner(Sender<()>);

impl DeathRecipient for Mourner {
    fn binder_died(&self, _who: &WIBinder) {
        let _ = self.0.send(());
    }
}
