#define _GNU_SOURCE
#include "ust/hold.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* No more than any function may use: on a stack that has little left it must not reach further than recording does anyway. */
#define SWEPT_BYTES 1536

/* What lies on the stack right below its caller is nobody's. Abandoned marks are often there: of a call from further inside. Says where
 * it begins. */
static __attribute__((noinline)) uintptr_t sweep(void)
{
    char swept[SWEPT_BYTES];
    uintptr_t begin = (uintptr_t)swept;
    memset(swept, 0, sizeof(swept));
    __asm__ volatile("" : "+r"(begin) : : "memory");
    return begin;
}

/* The kernel looks: the stack may be gone, and with it the memory. It says EAGAIN where something else stands; with the mark there it
 * would sleep, for no time at all. */
static int is_over(const struct weft_hold *hold)
{
    const struct timespec none = { 0, 0 };
    return syscall(SYS_futex, hold->mark, FUTEX_WAIT_PRIVATE, hold->value, &none, NULL, 0) != 0 && (errno == EAGAIN || errno == EFAULT);
}

/* Rings of other channels may be unmapped by now. */
static int is_of(const struct weft_channel *c, const struct weft_ring *ring)
{
    const char *at = (const char *)ring;
    return at >= c->memory && at < c->memory + c->data_offset;
}

void weft_hold_recover(struct weft_thread_page *page, const struct weft_channel *c, uint64_t me, const char *outermost)
{
    /* The child of a clone() that no handler heard of has its parent's word and notes: the lock may be the parent's. */
    if ((uint32_t)syscall(SYS_gettid) != (uint32_t)me)
        return;
    const uintptr_t innermost = sweep();
    int any = 0;
    for (uint32_t i = 0; i < WEFT_HOLDS; i++) {
        struct weft_hold *place = &page->holds[i];
        struct weft_ring *ring = __atomic_load_n(&place->ring, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        any |= ring != NULL;
        if (!ring || !is_of(c, ring))
            continue;
        const uintptr_t mark = (uintptr_t)__atomic_load_n(&place->mark, __ATOMIC_RELAXED);
        if (!(mark >= innermost && mark < (uintptr_t)outermost) && !is_over(place))
            continue;
        /* As when the daemon frees the lock of the dead: the one commit store was made, or nothing was changed. */
        uint64_t mine = me;
        __atomic_compare_exchange_n(&ring->lock, &mine, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        __atomic_store_n(&place->ring, NULL, __ATOMIC_RELAXED);
    }
    if (!any) /* a hold that was left behind and is over does not count any more */
        __atomic_store_n(&page->noted, 0, __ATOMIC_RELAXED);
}
