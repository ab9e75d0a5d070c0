// SPDX-License-Identifier: GPL-2.0

//! The table of handles beside an ordered map.

use crate::abi::name::Handle;
use crate::mem::{self, NoMemory};
use crate::object::handles::{HandleTable, Lowest};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a reference costs and where it goes in the simplest of all tables.
#[derive(Default)]
struct Model(BTreeMap<u32, u64>);

impl Model {
    fn insert(&mut self, lowest: Lowest, entry: u64) -> u32 {
        let from = match lowest {
            Lowest::FromZero => 0,
            Lowest::FromOne => 1,
        };
        let handle = (from..)
            .find(|handle| !self.0.contains_key(handle))
            .expect("there are more numbers than entries");
        self.0.insert(handle, entry);
        handle
    }
}

/// Enters the way the driver does.
fn insert<E>(table: &mut HandleTable<E>, lowest: Lowest, entry: E) -> Result<Handle, NoMemory> {
    let mut room = None;
    for _ in 0..3 {
        if let Some(room) = room.take() {
            drop(table.grow(room));
        }
        if let Some(place) = table.vacant(lowest) {
            let handle = place.handle();
            place.fill(entry);
            return Ok(handle);
        }
        let growth = table.growth().expect("there is no place");
        room = Some(growth.allocate()?);
    }
    panic!("there is no place after it has grown");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(bool),
    Abandon(bool),
    Remove(prop::sample::Index),
    RemoveMissing(u32),
    Change(prop::sample::Index),
    Pop,
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::bool::weighted(0.1).prop_map(Step::Insert),
        1 => any::<bool>().prop_map(Step::Abandon),
        6 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => prop_oneof![0..300_u32, any::<u32>()].prop_map(Step::RemoveMissing),
        2 => any::<prop::sample::Index>().prop_map(Step::Change),
        2 => Just(Step::Pop),
        3 => Just(Step::Shrink),
    ]
}

fn lowest(zero: bool) -> Lowest {
    match zero {
        true => Lowest::FromZero,
        false => Lowest::FromOne,
    }
}

fn check(table: &HandleTable<u64>, model: &Model) {
    assert_eq!(table.len(), model.0.len());
    let entries: Vec<(u32, u64)> = table
        .iter()
        .map(|(handle, &entry)| (handle.0, entry))
        .collect();
    let expected: Vec<(u32, u64)> = model
        .0
        .iter()
        .map(|(&handle, &entry)| (handle, entry))
        .collect();
    assert_eq!(entries, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_table_is_a_map_with_lowest_free_numbers(
        start in prop_oneof![3 => 0..140_usize, 1 => 250..270_usize],
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut table = HandleTable::new();
        let mut model = Model::default();
        for entry in 0..start as u64 {
            let handle = insert(&mut table, Lowest::FromOne, entry).expect("memory");
            prop_assert_eq!(handle.0, model.insert(Lowest::FromOne, entry));
        }
        for (entry, step) in (start as u64..).zip(steps) {
            let pick = |index: prop::sample::Index| {
                model.0.keys().nth(index.index(model.0.len().max(1))).copied()
            };
            match step {
                Step::Insert(zero) => {
                    let handle = insert(&mut table, lowest(zero), entry).expect("memory");
                    prop_assert_eq!(handle.0, model.insert(lowest(zero), entry));
                }
                Step::Abandon(zero) => {
                    // Whoever finds a place need not fill it.
                    let _ = table.vacant(lowest(zero)).map(|place| place.handle());
                }
                Step::Remove(index) => {
                    if let Some(handle) = pick(index) {
                        prop_assert_eq!(table.remove(Handle(handle)), model.0.remove(&handle));
                    }
                }
                Step::RemoveMissing(handle) => {
                    prop_assert_eq!(table.get(Handle(handle)), model.0.get(&handle));
                    prop_assert_eq!(table.remove(Handle(handle)), model.0.remove(&handle));
                }
                Step::Change(index) => {
                    if let Some(handle) = pick(index) {
                        *table.get_mut(Handle(handle)).expect("an entry") = entry;
                        model.0.insert(handle, entry);
                    }
                }
                Step::Pop => {
                    let popped = table.pop().map(|(handle, entry)| (handle.0, entry));
                    prop_assert_eq!(popped, model.0.pop_first());
                }
                Step::Shrink => {
                    let before = table.growth().is_none();
                    while table.shrink().is_some() {}
                    // What was to be had before still is: it never gives up the last free leaf.
                    prop_assert_eq!(table.growth().is_none(), before);
                }
            }
            check(&table, &model);
        }
        // Emptied from the start, and with storage for the next.
        let mut popped = Vec::new();
        while let Some((handle, entry)) = table.pop() {
            popped.push((handle.0, entry));
        }
        prop_assert_eq!(popped, model.0.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(table.len(), 0);
    }

    #[test]
    fn storage_made_for_another_time_is_handed_back_or_used(
        sizes in prop::collection::vec(0..400_usize, 1..6),
    ) {
        // Threads that found the table full at different times come back in any order.
        let mut table = HandleTable::new();
        let mut rooms = Vec::new();
        let mut entries = 0_u64;
        for size in sizes {
            while table.len() < size {
                insert(&mut table, Lowest::FromOne, entries).expect("memory");
                entries += 1;
            }
            while table.vacant(Lowest::FromOne).map(|place| place.fill(0)).is_some() {}
            let growth = table.growth().expect("full");
            rooms.push(growth.allocate().expect("memory"));
            rooms.push(growth.allocate().expect("memory"));
        }
        let before: Vec<(Handle, u64)> = table.iter().map(|(handle, &entry)| (handle, entry)).collect();
        while let Some(room) = rooms.pop() {
            let rest = table.grow(room);
            // Another comes too late and keeps what it has for the next time.
            let late = rooms.pop().map(|room| table.grow(room));
            rooms.extend(late);
            let len = table.len();
            while table
                .vacant(Lowest::FromOne)
                .map(|place| place.fill(0))
                .is_some()
            {}
            prop_assert!(table.len() <= len + 64);
            prop_assert!(table.growth().is_some());
            // What is left over is of no use even now, and does no harm.
            drop(table.grow(rest));
            prop_assert!(table.growth().is_some());
        }
        let after: Vec<(Handle, u64)> =
            table.iter().take(before.len()).map(|(handle, &entry)| (handle, entry)).collect();
        prop_assert_eq!(before, after);
        // No number was made up on the way.
        prop_assert_eq!(table.len() % 64, 63);
        prop_assert_eq!(table.iter().last().map(|(handle, _)| handle.0 as usize), Some(table.len()));
    }

    #[test]
    fn without_memory_nothing_changes(entries in 0..300_u64, budget in 0..3_usize) {
        let mut table = HandleTable::new();
        for entry in 0..entries {
            insert(&mut table, Lowest::FromOne, entry).expect("memory");
        }
        while table.vacant(Lowest::FromOne).map(|place| place.fill(7)).is_some() {}
        let len = table.len();
        let growth = table.growth().expect("full");
        let room = mem::with_budget(budget, || growth.allocate::<u64>());
        // A leaf, and where the directory is full a directory and a tree.
        if budget == 0 {
            prop_assert!(room.is_err());
        }
        if let Ok(room) = room {
            drop(table.grow(room));
            prop_assert!(table.growth().is_none());
        }
        prop_assert_eq!(table.len(), len);
    }
}

#[test]
fn number_zero_is_for_whom_it_is_asked() {
    let mut table = HandleTable::new();
    assert!(table.vacant(Lowest::FromZero).is_none(), "no storage yet");
    assert_eq!(insert(&mut table, Lowest::FromOne, 'a'), Ok(Handle(1)));
    assert_eq!(table.get(Handle::MANAGER), None);
    assert_eq!(insert(&mut table, Lowest::FromZero, 'm'), Ok(Handle(0)));
    // The node of a second manager while the first one's is still referenced.
    assert_eq!(insert(&mut table, Lowest::FromZero, 'n'), Ok(Handle(2)));
    assert_eq!(table.remove(Handle::MANAGER), Some('m'));
    assert_eq!(insert(&mut table, Lowest::FromOne, 'b'), Ok(Handle(3)));
    assert_eq!(insert(&mut table, Lowest::FromZero, 'o'), Ok(Handle(0)));
    assert_eq!(table.len(), 4);
}

#[test]
fn the_place_of_number_zero_needs_no_growth() {
    let mut table = HandleTable::new();
    for entry in 0..63 {
        insert(&mut table, Lowest::FromOne, entry).expect("memory");
    }
    assert!(table.growth().is_some());
    let place = table.vacant(Lowest::FromZero).expect("number 0 is free");
    assert_eq!(place.handle(), Handle(0));
}

#[test]
fn a_hundred_thousand_come_and_go() {
    const MANY: u32 = 100_000;
    let mut table = HandleTable::new();
    let entry = Rc::new(());
    for expected in 1..=MANY {
        let handle = insert(&mut table, Lowest::FromOne, entry.clone()).expect("memory");
        assert_eq!(handle, Handle(expected));
    }
    for handle in (3..=MANY).step_by(7) {
        assert!(table.remove(Handle(handle)).is_some());
        assert!(table.remove(Handle(handle)).is_none());
    }
    for expected in (3..=MANY).step_by(7) {
        let handle = insert(&mut table, Lowest::FromOne, entry.clone()).expect("memory");
        assert_eq!(handle, Handle(expected));
    }
    for handle in 1..=MANY {
        assert!(table.remove(Handle(handle)).is_some());
        while table.shrink().is_some() {}
    }
    assert_eq!(Rc::strong_count(&entry), 1);
    // Of 1563 leaves one is kept for the next reference.
    let kept = (1..)
        .take_while(|_| {
            table
                .vacant(Lowest::FromOne)
                .map(|place| place.fill(entry.clone()))
                .is_some()
        })
        .count();
    assert_eq!(kept, 63);
    drop(table);
    assert_eq!(Rc::strong_count(&entry), 1);
}

#[test]
fn the_lowest_goes_first_after_the_table_was_small() {
    let mut table = HandleTable::new();
    for number in 1..200_u64 {
        insert(&mut table, Lowest::FromOne, number).expect("memory");
    }
    for number in 1..=64 {
        assert_eq!(table.pop(), Some((Handle(number), number.into())));
    }
    for number in 65..200 {
        assert_eq!(table.remove(Handle(number)), Some(number.into()));
    }
    while table.shrink().is_some() {}
    assert_eq!(table.pop(), None);
    // Before all that was taken out, number 0 among them.
    for number in 1..=64 {
        insert(&mut table, Lowest::FromOne, number).expect("memory");
    }
    insert(&mut table, Lowest::FromZero, 0).expect("memory");
    for number in 0..=64 {
        assert_eq!(table.pop(), Some((Handle(number), number.into())));
    }
    assert_eq!(table.pop(), None);
}
