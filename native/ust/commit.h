/*
 * The commit as a restartable sequence (rseq). What every processor's version does, in this order:
 *
 *     a record's: the mark that the caller made before it read the clock is still there (weft_commit_mark)?
 *     the thread still runs on `cpu`, the ring's position word is still `expected`, the sink's switch is still `generation`?
 *         no: leave with WEFT_COMMIT_CHANGED
 *     copy `length` bytes, rounded up to whole words, from `source` to `target` (the ring's tail)
 *     store {timestamp, count} into the idle slot
 *     store `next` into the position word                       <- the commit; nothing before it is visible to anyone
 *
 * Preempted, migrated or interrupted by a signal before the last store, the kernel continues the thread at the abort label
 * instead (WEFT_COMMIT_ABORTED): all that was stored lies where nobody reads, and the caller starts from scratch.
 * The signature word before the abort label is what glibc registered (RSEQ_SIG). The child of a vfork() runs on its parent's area but
 * is not registered, and cannot see that: it must not trace before exec() (docs/adr/0013).
 */
#ifndef WEFT_UST_COMMIT_H
#define WEFT_UST_COMMIT_H

#include <stddef.h>
#include <stdint.h>

#include "ring/layout.h"

enum weft_commit_result { WEFT_COMMIT_DONE = 0, WEFT_COMMIT_CHANGED = 1, WEFT_COMMIT_ABORTED = 2 };

/* The kernel's struct rseq, as far as it is used here. */
struct weft_rseq {
    uint32_t cpu_id_start;
    uint32_t cpu_id;
    uint64_t rseq_cs;
    uint32_t flags;
};

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

static inline int weft_rseq_available(void)
{
    return &__rseq_offset && &__rseq_size && __rseq_size != 0;
}

static inline struct weft_rseq *weft_rseq_area(void)
{
    return (struct weft_rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* What a sequence needs to know. `target`, `source` and `length` are unused by a switch (length 0). */
struct weft_commit {
    const uint32_t *on;
    uint32_t generation;
    uint32_t cpu;
    uint64_t *position;
    uint64_t expected;
    uint64_t next;
    struct weft_slot *idle;
};

/* A descriptor that stands for no sequence that runs. */
extern const char weft_commit_marker[] __attribute__((visibility("hidden")));

/*
 * Marks the thread: a kernel that preempts it, or delivers a signal to it, takes the mark away, for it finds a descriptor whose
 * sequence the thread is not in. A record's sequence begins only with the mark in place (else: WEFT_COMMIT_CHANGED), so what was read
 * since, the clock before all, is no older than the thread's uninterrupted run.
 */
static inline void weft_commit_mark(void)
{
    *(volatile uint64_t *)&weft_rseq_area()->rseq_cs = (uint64_t)(uintptr_t)weft_commit_marker;
    __asm__ volatile("" ::: "memory");
}

/* Descriptor of the sequence between labels 1 and 2 with abort handler 4. */
#define WEFT_RSEQ_DESCRIPTOR                                                   \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                       \
    ".balign 32\n\t"                                                           \
    "3:\n\t"                                                                   \
    ".long 0, 0\n\t"                                                           \
    ".quad 1f, 2f - 1f, 4f\n\t"                                                \
    ".popsection\n\t"

#if defined(__x86_64__)
#include "ust/commit_x86_64.h"
#elif defined(__aarch64__)
#include "ust/commit_aarch64.h"
#endif

#endif
