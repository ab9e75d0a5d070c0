// SPDX-License-Identifier: GPL-2.0

//! The service manager as a busy binder service of its own.

use super::{Case, Said, Stage, patience};
use crate::interface::ITestbed;
use crate::service;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rsbinder::hub::{self, DUMP_FLAG_PRIORITY_ALL};
use rsbinder::{StatusCode, Strong};
use std::sync::mpsc::channel;
use std::time::Duration;

pub(super) const CASES: &[Case] = &[
    Case {
        name: "manager_list",
        run: list,
    },
    Case {
        name: "manager_unknown_name",
        run: unknown_name,
    },
    Case {
        name: "manager_own_service",
        run: own_service,
    },
    Case {
        name: "manager_many_services",
        run: many_services,
    },
    Case {
        name: "manager_wait_for_service",
        run: wait_for_service,
    },
];

fn list(stage: &Stage) -> Result<String> {
    let services = [stage.serve()?, stage.serve()?];
    let names = hub::list_services(DUMP_FLAG_PRIORITY_ALL);
    for service in &services {
        ensure!(
            names.contains(&service.name),
            "{} is not in {names:?}",
            service.name
        );
    }
    ensure!(
        names.iter().any(|name| name == "manager"),
        "the manager itself is not in {names:?}"
    );
    Ok(format!("{} services listed", names.len()))
}

fn unknown_name(_stage: &Stage) -> Result<String> {
    ensure!(
        hub::try_get_service("test.nobody")?.is_none(),
        "found what nobody registered"
    );
    match hub::check_interface::<dyn ITestbed>("test.nobody") {
        Err(StatusCode::NameNotFound) => Ok("not found, at once".to_owned()),
        other => bail!(
            "expected NameNotFound, got {:?}",
            other.map(|_| "a service")
        ),
    }
}

fn own_service(stage: &Stage) -> Result<String> {
    let name = stage.fresh_name();
    let own = service::new();
    hub::add_service(&name, &own).map_err(|error| anyhow!("{error}"))?;
    let found: Strong<dyn ITestbed> = hub::check_interface(&name)?;
    ensure!(
        !found.as_binder().is_remote(),
        "this process's own service was found as somebody else's"
    );
    ensure!(
        found.as_binder() == own.as_binder(),
        "another service was found"
    );
    Ok("a process finds its own service as its own".to_owned())
}

fn many_services(stage: &Stage) -> Result<String> {
    let services = (0..60)
        .map(|_| {
            let (name, own) = (stage.fresh_name(), service::new());
            hub::add_service(&name, &own).map_err(|error| anyhow!("{name}: {error}"))?;
            Ok((name, own))
        })
        .collect::<Result<Vec<_>>>()?;
    for (name, own) in &services {
        let found = hub::check_service(name).with_context(|| format!("{name} is lost"))?;
        ensure!(found == own.as_binder(), "{name} is another one");
    }
    Ok(format!("{} registered and found", services.len()))
}

fn wait_for_service(stage: &Stage) -> Result<String> {
    let name = stage.fresh_name();
    let (sender, found) = channel();
    let wanted = name.clone();
    std::thread::spawn(move || sender.send(hub::wait_for_interface::<dyn ITestbed>(&wanted)));
    if found.recv_timeout(Duration::from_millis(200)).is_ok() {
        bail!("found before it was registered");
    }
    let _service = stage.serve_as(&name)?;
    let testbed = found
        .recv_timeout(patience())
        .context("the manager did not tell the waiting client")??;
    ensure!(testbed.add(2, 3).said("add")? == 5, "wrong sum");
    Ok("the waiting client was told of the registration".to_owned())
}
