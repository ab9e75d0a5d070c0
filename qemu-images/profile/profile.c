// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what a guest executes between two marks.
 *
 * The benchmark marks the beginning and the end of its measuring loop with
 * two NOPs that nothing else emits.  Between them every block that runs is
 * counted, and so is every step from one block to the next.  Nothing is
 * sampled.  At the second mark a window is complete and is appended to the
 * file given as "out=", as lines of text:
 *
 *	window N
 *	i ADDRESS COUNT		an instruction and how often it ran
 *	e FROM TO COUNT		a step from an instruction to a block's first
 *	end INSTRUCTIONS
 *
 * An instruction at which a block was left by an exception counts, as do
 * those behind it in the block; in a loop without page faults there are
 * hardly any.  One virtual CPU only: the counters are not atomic.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin_api.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API_VERSION;

/* nopl 0x3142_5242(%rax) and nopl 0x3042_5242(%rax): see marker.rs. */
static const uint8_t mark_start[] = { 0x0f, 0x1f, 0x80, 0x42, 0x52, 0x42, 0x31 };
static const uint8_t mark_stop[] = { 0x0f, 0x1f, 0x80, 0x42, 0x52, 0x42, 0x30 };

/* A translated block.  Blocks are never freed: QEMU may still run them. */
struct block {
	struct block *next;
	uint64_t hash;
	uint64_t runs;
	size_t length;
	uint64_t address[];
};

/* A table that maps one or two addresses to a count. */
struct entry {
	uint64_t from;
	uint64_t to;
	uint64_t count;
};

struct table {
	struct entry *entries;
	size_t used;
	size_t size;		/* a power of two */
};

static struct block *blocks[1 << 16];
static struct table steps;
static struct block *last;
static bool counting;
static struct qemu_plugin_u64 counting_flag;	/* the same, for translated code */
static unsigned int windows;
static FILE *out;

static void fail(const char *what)
{
	fprintf(stderr, "profile plugin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("no memory");
	return memory;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ (hash >> 29);
}

static struct entry *find(struct table *table, uint64_t from, uint64_t to)
{
	size_t slot = mix(mix(0, from), to);

	for (;; slot++) {
		struct entry *entry = &table->entries[slot & (table->size - 1)];

		if (!entry->count || (entry->from == from && entry->to == to))
			return entry;
	}
}

static void add(struct table *table, uint64_t from, uint64_t to, uint64_t count)
{
	struct entry *entry;

	if (table->used * 2 >= table->size) {
		struct table larger = {
			.size = table->size ? table->size * 2 : 1 << 12,
		};

		larger.entries = allocate(larger.size, sizeof(*larger.entries));
		for (size_t i = 0; i < table->size; i++) {
			entry = &table->entries[i];
			if (entry->count)
				add(&larger, entry->from, entry->to,
				    entry->count);
		}
		free(table->entries);
		*table = larger;
	}
	entry = find(table, from, to);
	if (!entry->count) {
		entry->from = from;
		entry->to = to;
		table->used++;
	}
	entry->count += count;
}

static void forget(struct table *table)
{
	free(table->entries);
	*table = (struct table){ 0 };
}

static void block_runs(unsigned int vcpu, void *data)
{
	struct block *block = data;

	(void)vcpu;
	block->runs++;
	if (last)
		add(&steps, last->address[last->length - 1], block->address[0],
		    1);
	last = block;
}

static void count(unsigned int vcpu, bool on)
{
	counting = on;
	qemu_plugin_u64_set(counting_flag, vcpu, on);
}

static void window_opens(unsigned int vcpu, void *data)
{
	(void)data;
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		for (struct block *block = blocks[i]; block; block = block->next)
			block->runs = 0;
	forget(&steps);
	last = NULL;
	count(vcpu, true);
}

static void window_closes(unsigned int vcpu, void *data)
{
	struct table instructions = { 0 };
	uint64_t total = 0;

	(void)data;
	if (!counting)
		return;
	count(vcpu, false);
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
		for (struct block *block = blocks[i]; block; block = block->next) {
			if (!block->runs)
				continue;
			total += block->runs * block->length;
			for (size_t j = 0; j < block->length; j++)
				add(&instructions, block->address[j], 0,
				    block->runs);
		}
	}

	fprintf(out, "window %u\n", windows++);
	for (size_t i = 0; i < instructions.size; i++) {
		struct entry *entry = &instructions.entries[i];

		if (entry->count)
			fprintf(out, "i %" PRIx64 " %" PRIu64 "\n", entry->from,
				entry->count);
	}
	for (size_t i = 0; i < steps.size; i++) {
		struct entry *entry = &steps.entries[i];

		if (entry->count)
			fprintf(out, "e %" PRIx64 " %" PRIx64 " %" PRIu64 "\n",
				entry->from, entry->to, entry->count);
	}
	fprintf(out, "end %" PRIu64 "\n", total);
	if (fflush(out))
		fail("cannot write the profile");
	forget(&instructions);
}

/* The same code is translated many times over: one record serves them all. */
static struct block *record(const struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	struct block *block;
	struct block **bucket;
	uint64_t hash = 0;

	block = allocate(1, sizeof(*block) + length * sizeof(block->address[0]));
	block->length = length;
	for (size_t i = 0; i < length; i++) {
		block->address[i] =
			qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));
		hash = mix(hash, block->address[i]);
	}
	block->hash = hash;

	bucket = &blocks[hash % ARRAY_SIZE(blocks)];
	for (struct block *known = *bucket; known; known = known->next) {
		if (known->hash == hash && known->length == length &&
		    !memcmp(known->address, block->address,
			    length * sizeof(block->address[0]))) {
			free(block);
			return known;
		}
	}
	block->next = *bucket;
	*bucket = block;
	return block;
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t length = qemu_plugin_tb_n_insns(tb);
	uint8_t bytes[sizeof(mark_start)];

	(void)id;
	if (!length)
		return;
	qemu_plugin_register_vcpu_tb_exec_cond_cb(
		tb, block_runs, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_COND_NE,
		counting_flag, 0, record(tb));
	for (size_t i = 0; i < length; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) !=
		    sizeof(bytes))
			continue;
		if (!memcmp(bytes, mark_start, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, window_opens, QEMU_PLUGIN_CB_NO_REGS,
				NULL);
		else if (!memcmp(bytes, mark_stop, sizeof(bytes)))
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, window_closes, QEMU_PLUGIN_CB_NO_REGS,
				NULL);
	}
}

static void emulator_ends(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	fclose(out);
}

PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
				      const struct qemu_plugin_info *info,
				      int argc, char **argv)
{
	if (strcmp(info->target_name, "x86_64") || !info->system_emulation) {
		fprintf(stderr, "profile plugin: only for qemu-system-x86_64\n");
		return -1;
	}
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4)) {
			out = fopen(argv[i] + 4, "w");
			if (!out)
				fail(argv[i] + 4);
		}
	}
	if (!out) {
		fprintf(stderr, "profile plugin: give out=FILE\n");
		return -1;
	}
	counting_flag.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	qemu_plugin_register_atexit_cb(id, emulator_ends, NULL);
	return 0;
}
