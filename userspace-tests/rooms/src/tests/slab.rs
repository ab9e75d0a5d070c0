// SPDX-License-Identifier: GPL-2.0

//! Numbered places beside a list of what was put in them.

use crate::object::slab::{Key, Slab};
use proptest::prelude::*;

/// Inserts the way the driver does.
fn insert<T>(slab: &mut Slab<T>, mut value: T) -> Key {
    for _ in 0..3 {
        match slab.insert(value) {
            Ok(key) => return key,
            Err(back) => value = back,
        }
        let growth = slab.growth().expect("it is full");
        drop(slab.grow(growth.allocate().expect("memory")));
    }
    panic!("it is full after it has grown");
}

proptest! {
    #[test]
    fn a_key_finds_its_value_until_it_is_removed(
        steps in prop::collection::vec(
            prop_oneof![
                3 => Just(None),
                2 => any::<prop::sample::Index>().prop_map(Some),
            ],
            0..600,
        ),
    ) {
        let mut slab = Slab::new();
        // Every key there ever was, with its value while that lives.
        let mut keys: Vec<(Key, Option<usize>)> = Vec::new();
        let mut most = 0;
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                None => {
                    let key = insert(&mut slab, number);
                    prop_assert!(keys.iter().all(|(other, _)| *other != key), "a key came back");
                    keys.push((key, Some(number)));
                }
                Some(index) if !keys.is_empty() => {
                    let index = index.index(keys.len());
                    let (key, value) = &mut keys[index];
                    if let Some(value) = value {
                        *slab.get_mut(*key).expect("it is there") += 1;
                        *value += 1;
                    }
                    prop_assert_eq!(slab.remove(*key), value.take());
                    prop_assert_eq!(slab.get_mut(*key), None);
                }
                Some(_) => {}
            }
            let living = keys.iter().filter(|(_, value)| value.is_some()).count();
            most = most.max(living);
            prop_assert_eq!(slab.len(), living);
            for (key, value) in &keys {
                prop_assert_eq!(slab.get(*key), value.as_ref());
            }
        }
        let mut found: Vec<usize> = slab.iter().map(|(_, &value)| value).collect();
        let mut expected: Vec<usize> = keys.iter().filter_map(|(_, value)| *value).collect();
        found.sort();
        expected.sort();
        prop_assert_eq!(found, expected);
        for (key, value) in slab.iter() {
            prop_assert_eq!(slab.get(key), Some(value));
        }
    }

    #[test]
    fn who_walks_through_sees_once_what_stays(
        values in 1..200_usize,
        steps in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200),
    ) {
        let mut slab = Slab::new();
        let mut keys: Vec<Key> = (0..values).map(|value| insert(&mut slab, value)).collect();
        let mut staying: Vec<usize> = (0..values).collect();
        let mut seen = Vec::new();
        let mut place = None;
        let mut steps = steps.into_iter();
        while let Some((key, value)) = slab.after(place).map(|(key, value)| (key, *value)) {
            prop_assert_eq!(slab.get(key), Some(&value));
            seen.push(value);
            place = Some(key);
            // Meanwhile some go, perhaps the one just seen, and others come in their place.
            if let Some((index, replace)) = steps.next().filter(|_| !keys.is_empty()) {
                let gone = keys.swap_remove(index.index(keys.len()));
                let gone = slab.remove(gone).expect("it was there");
                staying.retain(|value| *value != gone);
                if replace {
                    insert(&mut slab, values + seen.len());
                }
            }
        }
        let mut known: Vec<usize> = seen.iter().copied().filter(|value| staying.contains(value)).collect();
        known.sort();
        prop_assert_eq!(known, staying);
        let count = seen.len();
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), count, "a value was seen twice");
    }

    #[test]
    fn places_are_used_again_before_new_ones_are_made(
        rounds in prop::collection::vec(1..64_usize, 1..20),
    ) {
        let mut slab = Slab::new();
        drop(slab.grow(slab.growth().expect("empty").allocate().expect("memory")));
        for count in rounds {
            let keys: Vec<Key> = (0..count)
                .map(|value| slab.insert(value).expect("one leaf is enough"))
                .collect();
            for key in keys {
                prop_assert!(slab.remove(key).is_some());
            }
        }
    }
}

#[test]
fn storage_that_is_not_needed_is_handed_back() {
    let mut slab = Slab::new();
    let growth = slab.growth().expect("empty");
    let late = growth.allocate().expect("memory");
    drop(slab.grow(growth.allocate().expect("memory")));
    let late = slab.grow(late);
    let keys: Vec<Key> = (0..64)
        .map(|value| slab.insert(value).expect("room"))
        .collect();
    assert_eq!(slab.insert(64), Err(64));
    // It was made with a directory, but the leaf alone is of use now.
    drop(slab.grow(late));
    assert!(slab.growth().is_none());
    assert!(slab.insert(64).is_ok());
    for (value, key) in keys.into_iter().enumerate() {
        assert_eq!(slab.get(key), Some(&value));
    }
}

#[test]
fn a_key_is_its_parts() {
    let mut slab = Slab::new();
    let mut keys = Vec::new();
    for number in 0..3 {
        keys.push((insert(&mut slab, number), number));
    }
    // The same place again, with a number of its own.
    let (stale, _) = keys.remove(1);
    assert_eq!(slab.remove(stale), Some(1));
    keys.push((insert(&mut slab, 3), 3));
    for (key, number) in keys {
        let (index, generation) = key.to_parts();
        assert_eq!(Key::from_parts(index, generation), key);
        assert_eq!(slab.get(Key::from_parts(index, generation)), Some(&number));
        assert_eq!(slab.get(Key::from_parts(index, generation + 1)), None);
    }
}
