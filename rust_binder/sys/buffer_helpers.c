// SPDX-License-Identifier: GPL-2.0
/*
 * What sys/pages.rs and sys/shrinker.rs need and bindgen does not see: macros and inline
 * functions.
 */
#include <linux/list_lru.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "buffer_helpers.h"

int rust_binder_insert_page(struct vm_area_struct *vma, unsigned long addr, void *page)
{
	return vm_insert_page(vma, addr, virt_to_page(page));
}

struct shrinker *rust_binder_shrinker_alloc(void)
{
	return shrinker_alloc(SHRINKER_NUMA_AWARE | SHRINKER_MEMCG_AWARE, "rust-binder");
}

struct kmem_cache *rust_binder_page_cache_create(unsigned int size)
{
	return kmem_cache_create("rust_binder_page", size, 0,
				 SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT, NULL);
}

int rust_binder_page_list_init(struct list_lru *lru, struct shrinker *shrinker)
{
	static struct lock_class_key key;

	return list_lru_init_memcg_key(lru, shrinker, &key);
}
