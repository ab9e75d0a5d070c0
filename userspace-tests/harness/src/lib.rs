// SPDX-License-Identifier: GPL-2.0

//! Test harness for binder drivers: the test is a script, the processes that use
//! the driver are actors.
//!
//! A test runs in one process that opens no binder device.  It forks actors
//! ([`Process`]) and steps each of their threads ([`Thread`]) over a socket: "run
//! this exchange", "map that", "close this descriptor".  A step that may block is
//! begun, other actors are stepped, and then it is finished ([`Pending`]), so the
//! order of events in the driver is the order of lines in the test.  Nothing
//! sleeps; whatever is waited for has a deadline ([`deadline`]).
//!
//! * [`wire`] is the language between test and actor, [`server`] the actor's side.
//! * [`thread`] and [`process`] are the test's handles on them; [`device`] opens,
//!   maps and does ioctls; [`command`], [`parcel`] and [`returns`] are typed views
//!   of what goes into and comes out of a driver; [`freezing`] is freezing and thawing.
//! * [`scheduling`] is how the scheduler treats an actor.
//! * [`seen`] records what of the ABI a test reaches.
//! * [`race`] lets threads begin at given moments.
//! * [`trap`] stops a thread inside the driver, where it copies.
//! * [`denial`] makes the kernel's security modules refuse what a driver asks for.
//! * [`case`] gives a test its actors, [`isolate`] runs it in a process group of
//!   its own that is ended when it overruns.

pub mod case;
pub mod check;
pub mod command;
pub mod deadline;
pub mod denial;
pub mod device;
pub mod freezing;
pub mod isolate;
pub mod parcel;
pub mod process;
pub mod race;
pub mod returns;
pub mod scheduling;
pub mod seen;
pub mod server;
pub mod thread;
pub mod trap;
pub mod wire;

pub use case::{Case, Cx};
pub use command::{Bc, Call};
pub use device::{Endpoint, Exchange, Outcome, Transactions};
pub use freezing::Missed;
pub use nix::errno::Errno;
pub use parcel::Parcel;
pub use process::Process;
pub use returns::{Br, Delivery};
pub use scheduling::{Policy, Scheduling};
pub use thread::{Pending, Thread};
pub use trap::Trap;
