/* The restartable sequence for aarch64: the commit is a store-release; the reader's load acquires. */
#ifndef WEFT_UST_COMMIT_AARCH64_H
#define WEFT_UST_COMMIT_AARCH64_H

#define WEFT_RSEQ_BEGIN                                   \
    WEFT_RSEQ_DESCRIPTOR                                  \
    "adrp x15, 3b\n\t"                                    \
    "add x15, x15, :lo12:3b\n\t"                          \
    "str x15, [%[rseq], #8]\n\t"                          \
    "1:\n\t"

/* Whatever takes the CPU from the thread between looking for the mark and arming the sequence makes the exclusive store fail. */
#define WEFT_RSEQ_BEGIN_MARKED                            \
    WEFT_RSEQ_DESCRIPTOR                                  \
    "adrp x15, weft_commit_marker\n\t"                    \
    "add x15, x15, :lo12:weft_commit_marker\n\t"          \
    "add x14, %[rseq], #8\n\t"                            \
    "ldxr x13, [x14]\n\t"                                 \
    "cmp x13, x15\n\t"                                    \
    "b.ne %l[changed]\n\t"                                \
    "adrp x15, 3b\n\t"                                    \
    "add x15, x15, :lo12:3b\n\t"                          \
    "stxr w13, x15, [x14]\n\t"                            \
    "1:\n\t"                                              \
    "cbnz w13, %l[changed]\n\t"

/* A descriptor as the kernel wants them, of a sequence that nobody ever runs. */
#define WEFT_RSEQ_MARKER                                  \
    ".pushsection __rseq_failure, \"ax\"\n\t"             \
    "1: nop\n\t"                                          \
    "2: .inst 0xd428bc00\n\t"                             \
    "4: brk #0\n\t"                                       \
    ".popsection\n\t"                                     \
    ".pushsection __rseq_cs, \"aw\"\n\t"                  \
    ".balign 32\n\t"                                      \
    ".globl weft_commit_marker\n\t"                       \
    ".hidden weft_commit_marker\n\t"                      \
    "weft_commit_marker:\n\t"                             \
    ".long 0, 0\n\t"                                      \
    ".quad 1b, 2b - 1b, 4b\n\t"                           \
    ".popsection\n\t"

#define WEFT_RSEQ_CHECK                                   \
    "ldr w15, [%[rseq], #4]\n\t"                          \
    "cmp w15, %w[cpu]\n\t"                                \
    "b.ne %l[changed]\n\t"                                \
    "ldr x15, [%[position]]\n\t"                          \
    "cmp x15, %[expected]\n\t"                            \
    "b.ne %l[changed]\n\t"                                \
    "ldr w15, [%[on]]\n\t"                                \
    "cmp w15, %w[generation]\n\t"                         \
    "b.ne %l[changed]\n\t"

#define WEFT_RSEQ_END                                     \
    "stp %[stamp], %[count], [%[idle]]\n\t"               \
    "stlr %[next], [%[position]]\n\t"                     \
    "2:\n\t"                                              \
    ".pushsection __rseq_failure, \"ax\"\n\t"             \
    ".inst 0xd428bc00\n\t"                                \
    "4:\n\t"                                              \
    "b %l[aborted]\n\t"                                   \
    ".popsection\n\t"

#define WEFT_RSEQ_INPUTS                                                                                                \
    [rseq] "r"(weft_rseq_area()), [cpu] "r"(c->cpu), [position] "r"(c->position), [expected] "r"(c->expected),          \
        [on] "r"(c->on), [generation] "r"(c->generation), [idle] "r"(c->idle), [next] "r"(c->next),                     \
        [stamp] "r"(timestamp), [count] "r"(count)

static inline enum weft_commit_result weft_commit_record(const struct weft_commit *c, char *target, const char *source,
                                                         size_t length, uint64_t timestamp, uint64_t count)
{
    const size_t bytes = (length + 3) & ~(size_t)3;
    __asm__ volatile goto(
        WEFT_RSEQ_BEGIN_MARKED
        WEFT_RSEQ_CHECK
        "mov x15, xzr\n\t"
        "5:\n\t"
        "ldr w14, [%[source], x15]\n\t"
        "str w14, [%[target], x15]\n\t"
        "add x15, x15, #4\n\t"
        "cmp x15, %[bytes]\n\t"
        "b.ne 5b\n\t"
        WEFT_RSEQ_END
        :
        : WEFT_RSEQ_INPUTS, [source] "r"(source), [target] "r"(target), [bytes] "r"(bytes)
        : "memory", "cc", "x13", "x14", "x15"
        : changed, aborted);
    return WEFT_COMMIT_DONE;
changed:
    return WEFT_COMMIT_CHANGED;
aborted:
    return WEFT_COMMIT_ABORTED;
}

static inline enum weft_commit_result weft_commit_switch(const struct weft_commit *c, struct weft_entry *close, uint32_t end_offset,
                                                         struct weft_entry *open, uint64_t sequence, uint64_t timestamp,
                                                         uint64_t count)
{
    __asm__ volatile goto(
        WEFT_RSEQ_BEGIN
        WEFT_RSEQ_CHECK
        "str %[stamp], [%[close], #24]\n\t"
        "str %w[end], [%[close], #32]\n\t"
        "str %[sequence], [%[open]]\n\t"
        "str %[stamp], [%[open], #8]\n\t"
        "str %[count], [%[open], #16]\n\t"
        WEFT_RSEQ_END
        :
        : WEFT_RSEQ_INPUTS, [close] "r"(close), [end] "r"(end_offset), [open] "r"(open), [sequence] "r"(sequence)
        : "memory", "cc", "x15"
        : changed, aborted);
    return WEFT_COMMIT_DONE;
changed:
    return WEFT_COMMIT_CHANGED;
aborted:
    return WEFT_COMMIT_ABORTED;
}

#endif
