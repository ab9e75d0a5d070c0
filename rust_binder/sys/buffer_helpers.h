/* SPDX-License-Identifier: GPL-2.0 */
/* Declared once more, for Rust, in the files of this folder that call them. */

#ifndef _RUST_BINDER_BUFFER_HELPERS_H
#define _RUST_BINDER_BUFFER_HELPERS_H

struct kmem_cache;
struct list_lru;
struct shrinker;
struct vm_area_struct;

int rust_binder_insert_page(struct vm_area_struct *vma, unsigned long addr, void *page);
struct shrinker *rust_binder_shrinker_alloc(void);
struct kmem_cache *rust_binder_page_cache_create(unsigned int size);
int rust_binder_page_list_init(struct list_lru *lru, struct shrinker *shrinker);

#endif /* _RUST_BINDER_BUFFER_HELPERS_H */
