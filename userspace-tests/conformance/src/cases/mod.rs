// SPDX-License-Identifier: GPL-2.0

//! The cases, by section of `coverage/rows.toml`.

use anyhow::Result;
use harness::{Case, Cx};

mod a10_death;
mod a10_order;
mod a10_refs;
mod a11_busy;
mod a11_coalesce;
mod a11_freeze;
mod a11_frozen;
mod a11_gone;
mod a11_missed;
mod a11_superseded;
mod a11_told;
mod a11_update;
mod a11_wait;
mod a12_denied;
mod a12_identity;
mod a12_labels;
mod a12_memory;
mod a12_namespaces;
mod a13_poll;
mod a13_thread_exit;
mod a14_death;
mod a20_limits;
mod a20_restored;
mod a20_served;
mod a20_threads;
mod a3_fork;
mod a3_map;
mod a4_ioctl;
mod a4_log;
mod a4_manager;
mod a5_write;
mod a6_calls;
mod a6_errors;
mod a6_nested;
mod a6_objects;
mod a6_reasons;
mod a6_replies;
mod a7_buffers;
mod a7_fd_arrays;
mod a7_fd_close;
mod a7_files;
mod a7_handles;
mod a7_nodes;
mod a7_parents;
mod a7_sg_failures;
mod a7_sg_reading;
mod a7_sg_replies;
mod a8_faults;
mod a8_loopers;
mod a8_nice;
mod a8_nice_limits;
mod a8_read;
mod a9_pages;
mod a9_space;
mod a9_spam;
mod cve;
mod steps;

/// A case that every driver has to pass.
const fn case(name: &'static str, claim: &'static str, run: fn(&mut Cx) -> Result<()>) -> Case {
    Case::new(name, claim, run)
}

/// All cases, in the order they run.
pub fn all() -> Vec<Case> {
    [
        a3_map::CASES,
        a3_fork::CASES,
        a4_ioctl::CASES,
        a4_log::CASES,
        a4_manager::CASES,
        a5_write::CASES,
        a6_calls::CASES,
        a6_nested::CASES,
        a6_errors::CASES,
        a6_objects::CASES,
        a6_replies::CASES,
        a6_reasons::CASES,
        a7_nodes::CASES,
        a7_handles::CASES,
        a7_files::CASES,
        a7_buffers::CASES,
        a7_parents::CASES,
        a7_fd_arrays::CASES,
        a7_fd_close::CASES,
        a7_sg_failures::CASES,
        a7_sg_reading::CASES,
        a7_sg_replies::CASES,
        a8_read::CASES,
        a8_faults::CASES,
        a8_loopers::CASES,
        a8_nice::CASES,
        a8_nice_limits::CASES,
        a9_space::CASES,
        a9_spam::CASES,
        a9_pages::CASES,
        a10_refs::CASES,
        a10_death::CASES,
        a10_order::CASES,
        a11_freeze::CASES,
        a11_busy::CASES,
        a11_wait::CASES,
        a11_frozen::CASES,
        a11_missed::CASES,
        a11_update::CASES,
        a11_superseded::CASES,
        a11_told::CASES,
        a11_coalesce::CASES,
        a11_gone::CASES,
        a12_identity::CASES,
        a12_labels::CASES,
        a12_memory::CASES,
        a12_namespaces::CASES,
        a12_denied::CASES,
        a13_poll::CASES,
        a13_thread_exit::CASES,
        a14_death::CASES,
        a20_served::CASES,
        a20_threads::CASES,
        a20_restored::CASES,
        a20_limits::CASES,
        cve::CASES,
    ]
    .concat()
    .into_iter()
    .chain(steps::all())
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_claims_short() {
        let mut names = BTreeSet::new();
        for case in super::all() {
            assert!(names.insert(case.name), "{} is there twice", case.name);
            assert!(
                case.name.contains('/') && ["a", "cve/"].iter().any(|s| case.name.starts_with(s)),
                "{}",
                case.name
            );
            assert!(
                (10..=110).contains(&case.claim.len()),
                "{}: {}",
                case.name,
                case.claim
            );
        }
    }
}
