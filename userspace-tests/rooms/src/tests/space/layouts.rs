// SPDX-License-Identifier: GPL-2.0

//! The sections of a buffer.

use crate::buffer::layout::{Layout, LayoutError, Section, Sizes, MAX_SPACE};
use proptest::prelude::*;

/// The C driver's check, with the overflows of C: zero for sizes that make no sense.
fn sanitized(sizes: &Sizes) -> u64 {
    let align = |size: u64| size.wrapping_add(7) & !7;
    let both = align(sizes.data).wrapping_add(align(sizes.offsets));
    if both < sizes.data || both < sizes.offsets {
        return 0;
    }
    let total = both.wrapping_add(align(sizes.extra));
    if total < both || total < sizes.extra {
        return 0;
    }
    total.max(8)
}

fn size() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0..100u64,
        3 => 0..u64::from(MAX_SPACE) + 100,
        1 => any::<u64>(),
        1 => (u64::MAX - 20)..=u64::MAX,
    ]
}

fn sizes() -> impl Strategy<Value = Sizes> {
    (size(), size(), size()).prop_map(|(data, offsets, extra)| Sizes {
        data,
        offsets,
        extra,
    })
}

#[test]
fn absurd_is_what_overflows_when_it_is_rounded_up() {
    for size in (u64::MAX - 40)..=u64::MAX {
        for place in 0..3 {
            let mut sizes = [0; 3];
            sizes[place] = size;
            let [data, offsets, extra] = sizes;
            let sizes = Sizes {
                data,
                offsets,
                extra,
            };
            let expected = match size {
                0xffff_ffff_ffff_fff9.. => LayoutError::Overflow,
                _ => LayoutError::TooLarge,
            };
            assert_eq!(Layout::new(&sizes), Err(expected), "{sizes:?}");
        }
    }
}

const SECTIONS: [Section; 3] = [Section::Data, Section::Offsets, Section::Extra];

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn as_the_reference(sizes in sizes()) {
        let total = sanitized(&sizes);
        match Layout::new(&sizes) {
            Ok(layout) => prop_assert_eq!(u64::from(layout.total()), total),
            Err(LayoutError::Overflow) => prop_assert_eq!(total, 0),
            Err(LayoutError::TooLarge) => prop_assert!(total > u64::from(MAX_SPACE)),
        }
    }

    /// What is located in a section lies in it, and sections do not overlap.
    #[test]
    fn sections_are_apart(sizes in sizes(), at in 0..5000usize, len in 0..5000usize) {
        let Ok(layout) = Layout::new(&sizes) else {
            return Ok(());
        };
        let mut end = 0;
        for section in SECTIONS {
            let start = layout.start(section);
            prop_assert!(start >= end && start % 8 == 0);
            end = start + layout.len(section);
            prop_assert!(end <= layout.total());
            let inside = at + len <= layout.len(section) as usize;
            let expected = inside.then(|| start + at as u32);
            prop_assert_eq!(layout.locate(section, at, len), expected);
        }
    }
}

#[test]
fn positions_that_overflow() {
    let layout = Layout::new(&Sizes {
        data: 16,
        offsets: 8,
        extra: 0,
    })
    .unwrap();
    for section in SECTIONS {
        assert_eq!(layout.locate(section, usize::MAX, 1), None);
        assert_eq!(layout.locate(section, 1, usize::MAX), None);
        assert_eq!(layout.locate(section, usize::MAX, usize::MAX), None);
    }
    assert_eq!(layout.locate(Section::Offsets, 8, 0), Some(24));
    assert_eq!(layout.locate(Section::Extra, 0, 0), Some(24));
    assert_eq!(layout.locate(Section::Extra, 0, 1), None);
}
