// SPDX-License-Identifier: GPL-2.0

//! The two interfaces spoken between the test service and its clients.
//!
//! They are plain Rust traits; `rsbinder` derives the wire code from them. Transaction codes follow the order of the
//! methods, starting at 1: [`code`] names the ones that other libraries call by number.

// The attribute macro emits code that these two lints object to.
#![allow(missing_docs, clippy::too_many_arguments)]

use rsbinder::{ParcelFileDescriptor, Parcelable, SIBinder, Strong, interface};

/// Interface descriptor of the test service, for clients that are not written with `rsbinder`.
pub const TESTBED_DESCRIPTOR: &str = "rust_binder.test.ITestbed";

/// Transaction codes for clients that call by number.
pub mod code {
    /// `ITestbed::echo`.
    pub const ECHO: u32 = 1;
    /// `ITestbed::add`.
    pub const ADD: u32 = 2;
    /// A code no method answers to.
    pub const UNKNOWN: u32 = 0x00ab_cdef;
}

/// One value of every kind a parcel can hold, to be sent there and back.
#[derive(Parcelable, Default, Debug, Clone, PartialEq)]
pub struct Values {
    pub flag: bool,
    pub byte: i8,
    pub character: u16,
    pub int: i32,
    pub long: i64,
    pub float: f32,
    pub double: f64,
    pub text: String,
    pub absent: Option<String>,
    pub bytes: Vec<u8>,
    pub ints: Vec<i32>,
    pub longs: Vec<i64>,
    pub texts: Vec<String>,
}

/// How the service should fail.
pub mod failure {
    /// Answer with a service-specific error.
    pub const SERVICE_SPECIFIC: i32 = 1;
    /// Answer with an exception that carries a message.
    pub const EXCEPTION: i32 = 2;
    /// Leave the process in the middle of the call.
    pub const EXIT: i32 = 3;
}

/// Who called, as the service saw it.
#[derive(Parcelable, Default, Debug, Clone, PartialEq)]
pub struct Caller {
    pub pid: i32,
    pub uid: i32,
    pub service_pid: i32,
}

/// What the service saw of a burst of oneway calls.
#[derive(Parcelable, Default, Debug, Clone, PartialEq)]
pub struct Notes {
    pub numbers: Vec<i32>,
    pub most_at_once: i32,
    pub senders: Vec<i32>,
}

/// The service under test.
#[interface(descriptor = "rust_binder.test.ITestbed")]
pub trait ITestbed {
    fn echo(&self, text: &str) -> BinderResult<String>;
    fn add(&self, a: i32, b: i32) -> BinderResult<i32>;
    fn echo_bytes(&self, bytes: &[u8]) -> BinderResult<Vec<u8>>;
    fn echo_values(&self, values: &Values) -> BinderResult<Values>;
    fn caller(&self) -> BinderResult<Caller>;
    fn fail(&self, how: i32) -> BinderResult<()>;
    fn meet(&self, callers: i32) -> BinderResult<i32>;
    fn met(&self, callers: i32) -> BinderResult<i32>;

    fn bounce(&self, callback: &Strong<dyn ICallback>, depth: i32) -> BinderResult<Vec<i32>>;
    fn notify(&self, callback: &Strong<dyn ICallback>, count: i32) -> BinderResult<()>;
    fn own_binder(&self) -> BinderResult<SIBinder>;
    fn hold(&self, binder: &SIBinder) -> BinderResult<()>;
    fn held(&self) -> BinderResult<Option<SIBinder>>;
    fn release(&self) -> BinderResult<()>;
    fn ping_held(&self) -> BinderResult<bool>;
    fn wait_for_death(&self) -> BinderResult<bool>;
    fn count_binders(&self, binders: &[SIBinder]) -> BinderResult<i32>;

    fn open_pipe(&self, text: &str) -> BinderResult<ParcelFileDescriptor>;
    fn read_all(&self, file: &ParcelFileDescriptor) -> BinderResult<String>;
    fn reverse_files(
        &self,
        files: &[ParcelFileDescriptor],
    ) -> BinderResult<Vec<ParcelFileDescriptor>>;
    fn open_files(&self) -> BinderResult<i32>;

    #[oneway]
    fn note(&self, number: i32) -> BinderResult<()>;
    fn notes(&self, wait_for: i32) -> BinderResult<Notes>;
}

/// What a client lends the service to call back.
#[interface(descriptor = "rust_binder.test.ICallback")]
pub trait ICallback {
    fn bounced(
        &self,
        service: &Strong<dyn ITestbed>,
        callback: &Strong<dyn ICallback>,
        depth: i32,
    ) -> BinderResult<Vec<i32>>;
    #[oneway]
    fn noted(&self, number: i32) -> BinderResult<()>;
}
