// SPDX-License-Identifier: GPL-2.0

//! The service under test.

use crate::interface::{BnTestbed, Caller, ICallback, ITestbed, Notes, Values, failure};
use rsbinder::{
    BinderResult, DeathRecipient, ExceptionCode, Interface, ParcelFileDescriptor, SIBinder, Status,
    StatusCode, Strong, WIBinder, Weak,
};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Longest time a method blocks: well under the time a case may take, so that a lost wake-up fails instead of hanging.
fn patience() -> Duration {
    patience::seconds(20)
}

/// Creates the service, ready to be registered.
pub fn new() -> Strong<dyn ITestbed> {
    let own = Arc::new(OnceLock::new());
    let service = BnTestbed::new_binder(Testbed {
        own: own.clone(),
        held: Mutex::default(),
        met: Signal::default(),
        notes: Signal::default(),
        in_note: AtomicI32::new(0),
    });
    own.get_or_init(|| Strong::downgrade(&service));
    service
}

/// A value that threads wait on until it satisfies them.
#[derive(Default)]
struct Signal<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Signal<T> {
    fn update(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.value.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until `done` holds or `limit` has passed and returns what `read` makes of the value then.
    fn wait<R>(&self, limit: Duration, done: impl Fn(&T) -> bool, read: impl FnOnce(&T) -> R) -> R {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, _) = self
            .changed
            .wait_timeout_while(value, limit, |value| !done(value))
            .unwrap_or_else(PoisonError::into_inner);
        read(&value)
    }
}

/// Counts the deaths it is told of.
#[derive(Default)]
struct Obituary(Signal<u32>);

impl DeathRecipient for Obituary {
    fn binder_died(&self, _who: &WIBinder) {
        self.0.update(|told| *told += 1);
    }
}

/// A binder somebody asked the service to keep, and what it heard of its death.
struct Held {
    binder: SIBinder,
    obituary: Arc<Obituary>,
}

struct Testbed {
    /// The service's own binder. Weak, because the binder owns this struct.
    own: Arc<OnceLock<Weak<dyn ITestbed>>>,
    held: Mutex<Option<Held>>,
    met: Signal<i32>,
    notes: Signal<Notes>,
    in_note: AtomicI32,
}

impl Testbed {
    fn own(&self) -> BinderResult<Strong<dyn ITestbed>> {
        Ok(self.own.get().ok_or(StatusCode::NoInit)?.upgrade()?)
    }

    fn with_held<R>(&self, use_it: impl FnOnce(&Option<Held>) -> R) -> R {
        use_it(&self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Interface for Testbed {}

impl ITestbed for Testbed {
    fn echo(&self, text: &str) -> BinderResult<String> {
        Ok(text.to_owned())
    }

    fn add(&self, a: i32, b: i32) -> BinderResult<i32> {
        a.checked_add(b)
            .ok_or_else(|| (ExceptionCode::IllegalArgument, "the sum overflows").into())
    }

    fn echo_bytes(&self, bytes: &[u8]) -> BinderResult<Vec<u8>> {
        Ok(bytes.to_vec())
    }

    fn echo_values(&self, values: &Values) -> BinderResult<Values> {
        Ok(values.clone())
    }

    fn caller(&self) -> BinderResult<Caller> {
        Ok(Caller {
            pid: rsbinder::get_calling_pid(),
            // The parcel has no unsigned word; the bits are what the client compares.
            uid: rsbinder::get_calling_uid().cast_signed(),
            service_pid: std::process::id().cast_signed(),
        })
    }

    fn fail(&self, how: i32) -> BinderResult<()> {
        match how {
            failure::SERVICE_SPECIFIC => Err(Status::new_service_specific_error(
                -77,
                Some("seventy-seven".to_owned()),
            )),
            failure::EXCEPTION => Err((ExceptionCode::IllegalState, "as asked").into()),
            failure::EXIT => std::process::exit(0),
            _ => Err(StatusCode::BadValue.into()),
        }
    }

    fn meet(&self, callers: i32) -> BinderResult<i32> {
        self.met.update(|met| *met += 1);
        self.met(callers)
    }

    fn met(&self, callers: i32) -> BinderResult<i32> {
        Ok(self.met.wait(patience(), |met| *met >= callers, |met| *met))
    }

    fn bounce(&self, callback: &Strong<dyn ICallback>, depth: i32) -> BinderResult<Vec<i32>> {
        let mut trace = vec![std::process::id().cast_signed()];
        if depth > 0 {
            trace.extend(callback.bounced(&self.own()?, callback, depth - 1)?);
        }
        Ok(trace)
    }

    fn notify(&self, callback: &Strong<dyn ICallback>, count: i32) -> BinderResult<()> {
        (0..count).try_for_each(|number| callback.noted(number))
    }

    fn own_binder(&self) -> BinderResult<SIBinder> {
        Ok(self.own()?.as_binder())
    }

    fn hold(&self, binder: &SIBinder) -> BinderResult<()> {
        let obituary = Arc::new(Obituary::default());
        binder.link_to_death_arc(&obituary)?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held {
            binder: binder.clone(),
            obituary,
        });
        Ok(())
    }

    fn held(&self) -> BinderResult<Option<SIBinder>> {
        Ok(self.with_held(|held| held.as_ref().map(|held| held.binder.clone())))
    }

    fn release(&self) -> BinderResult<()> {
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(held) = held {
            match held.binder.unlink_to_death_arc(&held.obituary) {
                // After a death there is nothing left to unlink.
                Ok(()) | Err(StatusCode::DeadObject) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn ping_held(&self) -> BinderResult<bool> {
        let binder = self.held()?.ok_or(StatusCode::NameNotFound)?;
        Ok(binder.ping_binder().is_ok())
    }

    fn wait_for_death(&self) -> BinderResult<bool> {
        let obituary = self
            .with_held(|held| held.as_ref().map(|held| held.obituary.clone()))
            .ok_or(StatusCode::NameNotFound)?;
        let told = obituary
            .0
            .wait(patience(), |told| *told > 0, |told| *told > 0);
        Ok(told)
    }

    fn count_binders(&self, binders: &[SIBinder]) -> BinderResult<i32> {
        let alive = binders.iter().filter(|binder| binder.ping_binder().is_ok());
        i32::try_from(alive.count()).map_err(|_| StatusCode::BadValue.into())
    }

    fn open_pipe(&self, text: &str) -> BinderResult<ParcelFileDescriptor> {
        let (reader, mut writer) = ParcelFileDescriptor::pipe()?;
        writer.write_all(text.as_bytes())?;
        Ok(reader)
    }

    fn read_all(&self, file: &ParcelFileDescriptor) -> BinderResult<String> {
        let mut text = String::new();
        let mut file: &ParcelFileDescriptor = file;
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    fn reverse_files(
        &self,
        files: &[ParcelFileDescriptor],
    ) -> BinderResult<Vec<ParcelFileDescriptor>> {
        Ok(files
            .iter()
            .rev()
            .map(ParcelFileDescriptor::try_clone)
            .collect::<Result<_, _>>()?)
    }

    fn open_files(&self) -> BinderResult<i32> {
        open_files().map_err(Into::into)
    }

    fn note(&self, number: i32) -> BinderResult<()> {
        let at_once = self.in_note.fetch_add(1, Ordering::SeqCst) + 1;
        // Long enough for a second thread to run into this one, were it handed the next call too early.
        if number % 16 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let sender = rsbinder::get_calling_pid();
        self.notes.update(|notes| {
            notes.numbers.push(number);
            notes.most_at_once = notes.most_at_once.max(at_once);
            if !notes.senders.contains(&sender) {
                notes.senders.push(sender);
            }
        });
        self.in_note.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn notes(&self, wait_for: i32) -> BinderResult<Notes> {
        let wanted = usize::try_from(wait_for).unwrap_or_default();
        Ok(self.notes.wait(
            patience(),
            |notes| notes.numbers.len() >= wanted,
            Notes::clone,
        ))
    }
}

/// Number of files this process has open.
pub fn open_files() -> std::io::Result<i32> {
    // The directory itself is open while it is counted.
    let count = std::fs::read_dir("/proc/self/fd")?.count() - 1;
    i32::try_from(count).map_err(std::io::Error::other)
}

/// Waits until `done` returns true, for at most `limit`. For what no notification tells of.
pub fn eventually(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The owned form of a file that is to be sent.
pub fn sendable(file: impl Into<OwnedFd>) -> ParcelFileDescriptor {
    ParcelFileDescriptor::new(file)
}
