// SPDX-License-Identifier: GPL-2.0

//! How a page goes when memory is short.

use super::{
    super::{
        page_word::Age,
        shrinker::{
            Listed,
            OnList,
            Owner,
            Verdict, //
        },
    },
    page::{
        OwnedPage,
        PageWord, //
    },
    Pages, //
};
use kernel::{
    mm::virt::VmaMixedMap,
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    }, //
};

impl Owner for Pages {
    fn reclaim(&self, index: usize, listed: Listed<'_, Self>) -> Verdict {
        let Some(area) = self.area.as_ref() else {
            return listed.skip();
        };
        let Some(word) = area.words.get(index) else {
            return listed.skip();
        };
        match word.age() {
            Age::Old => {}
            Age::Young | Age::InUse => return listed.later(),
            Age::Absent => return listed.skip(),
        }
        // From here on only locks that are free.
        let Some(mut entries) = self.entries.try_lock() else {
            return listed.skip();
        };
        let Some(slot) = entries.get_mut(index) else {
            return listed.skip();
        };
        let Some(mm) = self.mapping.users() else {
            // The address space is being torn down: there is nothing to take out of it.
            return self.take_page(None, 0, word, slot, listed);
        };
        let addr = area.base.wrapping_add(index << PAGE_SHIFT);
        self.mapping
            .try_with_vma(&mm, addr, listed, |vma, listed| {
                self.take_page(vma, addr, word, slot, listed)
            })
            .unwrap_or_else(Listed::skip)
    }
}

impl Pages {
    /// Takes a page away and frees it. The mutex is held, and so is the lock of the vma.
    fn take_page(
        &self,
        vma: Option<&VmaMixedMap>,
        addr: usize,
        word: &PageWord,
        slot: &mut Option<OnList<Pages>>,
        listed: Listed<'_, Self>,
    ) -> Verdict {
        let Some(kept) = slot.take() else {
            return listed.skip();
        };
        let Some(page) = OwnedPage::take_from(word, false) else {
            *slot = Some(kept);
            return listed.later();
        };
        // The word has no page any more; the entry goes too, or the page comes back.
        match listed.take(kept) {
            Ok((entry, verdict)) => {
                if let Some(vma) = vma {
                    vma.zap_vma_range(addr, PAGE_SIZE);
                }
                drop(page);
                drop(entry);
                verdict
            }
            Err((kept, listed)) => {
                // Not reached: the entry is the one of this page.
                let _ = page.put_into(word);
                *slot = Some(kept);
                listed.skip()
            }
        }
    }
}
