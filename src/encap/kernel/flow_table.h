/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The table of established flows. Each CPU has one of its own: who reads a flow is the one who writes it,
 * nothing is locked, and no entry becomes another flow's while somebody reads it. A key leads to a set of
 * slots, and its slot to an entry; entries are taken one behind the other, so that few flows are in few
 * pages. The kernel's LRU hash takes longer.
 */
#ifndef HNV_FLOW_TABLE_H
#define HNV_FLOW_TABLE_H

#include "packet.h"

#define ENTRY_MASK ((1U << HNV_FLOW_ENTRY_BITS) - 1)
#define MIXER 0x9e3779b97f4a7c15ULL /* 2^64 over the golden ratio */
#define TICKS_SHIFT 5               /* time is looked at every 32 ticks */
#define RESTED 2 /* such periods without a packet, after which another flow may have the entry */
#define NEVER_USED (~0U)
#define LOOKS 8 /* at entries, for one to take */

_Static_assert(sizeof(struct hnv_flow_key) == HNV_FLOW_KEY_WORDS * sizeof(__u64), "whole words");
_Static_assert(sizeof(struct hnv_flow_entry) == 256, "whole lines of cache");

/* A key in whole words, wherever its addresses stand: one word of IPv4, four of IPv6. */
struct flow_words {
    __u64 ports_and_place;
    __u64 rest;
    const __u64 *addresses;
};

static __always_inline __u32 periods_now(void) {
    return bpf_jiffies64() >> TICKS_SHIFT;
}

static __always_inline const struct hnv_flow_table *flow_table_here(void) {
    __u32 zero = 0;

    return bpf_map_lookup_elem(&flow_table, &zero);
}

/* Multilinear, and mixed once, for keys are in rows: the upper bits lead to the set, the next to the slot. */
static __always_inline __u64 hash_words(const struct hnv_flow_table *table, const struct flow_words *words,
                                        const bool v6) {
    const __u64 *by = table->multipliers, *addresses = words->addresses;
    __u64 hash = words->ports_and_place * by[0] + words->rest * by[1] + addresses[0] * by[2];

    if (v6)
        hash += addresses[1] * by[3] + addresses[2] * by[4] + addresses[3] * by[5];
    return (hash ^ hash >> 32) * MIXER;
}
static __always_inline __u32 set_number(const struct hnv_flow_table *table, __u64 hash) {
    return (hash >> 32) * table->sets >> 32;
}
static __always_inline __u32 bits_of(__u64 hash) {
    return (__u32)hash & ~ENTRY_MASK;
}

static __always_inline struct hnv_flow_set *set_at(const struct hnv_flow_table *table, __u32 number) {
    __u32 index = bpf_get_smp_processor_id() * table->sets + number;

    return bpf_map_lookup_elem(&flow_sets, &index);
}
static __always_inline struct hnv_flow_entry *entry_at(const struct hnv_flow_table *table, __u32 number) {
    __u32 index = bpf_get_smp_processor_id() * table->entries + number;

    return bpf_map_lookup_elem(&flows, &index);
}

/* What of a slot leads to an entry is 0 where there is none. */
static __always_inline __u32 slot_with(const struct hnv_flow_set *set, __u32 bits) {
    __u32 found = 0;

#pragma unroll
    for (__u32 at = 0; at < HNV_FLOW_SLOTS; at++)
        if ((set->slots[at] & ~ENTRY_MASK) == bits)
            found |= set->slots[at];
    return found & ENTRY_MASK;
}

static __always_inline bool has_key(const struct hnv_flow_entry *entry, const struct flow_words *words,
                                    const bool v6) {
    const __u64 *key = (const void *)&entry->key, *addresses = words->addresses;

    return key[0] == words->ports_and_place && key[1] == words->rest && key[2] == addresses[0] &&
           (!v6 || (key[3] == addresses[1] && key[4] == addresses[2] && key[5] == addresses[3]));
}

/* The flow of the key; NULL when there is none. */
static __always_inline struct hnv_flow *flow_of(const struct flow_words *words, const bool v6) {
    const struct hnv_flow_table *table = flow_table_here();
    struct hnv_flow_entry *entry;
    struct hnv_flow_set *set;
    __u32 slot;
    __u64 hash;

    if (!table)
        return NULL;
    hash = hash_words(table, words, v6);
    set = set_at(table, set_number(table, hash));
    if (!set)
        return NULL;
    slot = slot_with(set, bits_of(hash));
    if (!slot)
        return NULL;
    entry = entry_at(table, slot - 1);
    return entry && has_key(entry, words, v6) ? &entry->flow : NULL;
}

/* Periods without a packet. */
static __always_inline __u32 rest_of(const struct hnv_flow_entry *entry) {
    return entry->key.side ? periods_now() - entry->flow.looked : NEVER_USED;
}
static __always_inline bool is_free(const struct hnv_flow_entry *entry) {
    return rest_of(entry) >= RESTED;
}

/*
 * 1 more than the number of an entry that is free: the next one that was never used, or of the next few the
 * one that has rested longest; 0 when all of them are busy.
 */
static __always_inline __u32 take_entry(const struct hnv_flow_table *table, __u32 *next) {
    __u32 number, rest, longest = RESTED - 1, taken = 0;
    const struct hnv_flow_entry *entry;

    for (__u32 look = 0; look < LOOKS && longest != NEVER_USED; look++) {
        number = *next < table->entries ? *next : 0;
        *next = number + 1;
        entry = entry_at(table, number);
        rest = entry ? rest_of(entry) : 0;
        if (rest > longest) {
            longest = rest;
            taken = number + 1;
        }
    }
    return taken;
}

/* What the slot leads to, unless that has become another slot's. */
static __always_inline struct hnv_flow_entry *entry_in(const struct hnv_flow_table *table, __u32 slot,
                                                       __u32 slot_number) {
    struct hnv_flow_entry *entry = slot ? entry_at(table, (slot & ENTRY_MASK) - 1) : NULL;

    return entry && entry->slot == slot_number ? entry : NULL;
}

/* The slot of the set for the bits: the one that has them, or an empty one, or one that may be emptied. */
static __noinline __u32 choose_slot(const struct hnv_flow_table *table, const struct hnv_flow_set *set,
                                    __u32 first, __u32 bits) {
    struct hnv_flow_entry *entry;
    __u32 empty = HNV_FLOW_SLOTS, rested = HNV_FLOW_SLOTS;

    for (__u32 at = 0; at < HNV_FLOW_SLOTS; at++) {
        if (set->slots[at] && (set->slots[at] & ~ENTRY_MASK) == bits)
            return at;
        entry = entry_in(table, set->slots[at], first + at);
        if (!entry)
            empty = at;
        else if (is_free(entry))
            rested = at;
    }
    return empty < HNV_FLOW_SLOTS ? empty : rested;
}

/*
 * The entry of the key, or one that it gets, without a key; NULL when others are busy. Two flows of a set
 * never have the same bits. `next` is the entry that is looked at first when one has to be taken.
 */
static __always_inline struct hnv_flow_entry *place_of(const struct hnv_flow_key *key, __u32 *next) {
    const __u64 *whole = (const void *)key;
    const struct flow_words words = {whole[0], whole[1], &whole[2]};
    const struct hnv_flow_table *table = flow_table_here();
    struct hnv_flow_entry *entry;
    __u32 number, slot, taken;
    struct hnv_flow_set *set;
    __u64 hash;

    if (!table)
        return NULL;
    hash = hash_words(table, &words, true);
    number = set_number(table, hash);
    set = set_at(table, number);
    if (!set)
        return NULL;
    number *= HNV_FLOW_SLOTS;
    slot = choose_slot(table, set, number, bits_of(hash));
    if (slot >= HNV_FLOW_SLOTS)
        return NULL;
    entry = entry_in(table, set->slots[slot], number + slot);
    if (entry && has_key(entry, &words, true))
        return entry;
    taken = entry ? set->slots[slot] & ENTRY_MASK : take_entry(table, next);
    entry = taken ? entry_at(table, taken - 1) : NULL;
    if (!entry || !is_free(entry))
        return NULL;
    entry->key.side = 0;
    entry->slot = number + slot;
    set->slots[slot] = bits_of(hash) | taken;
    return entry;
}

#endif
