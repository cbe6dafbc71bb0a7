/* The restartable sequence for x86-64, whose stores become visible in program order: the last one is the commit. */
#ifndef WEFT_UST_COMMIT_X86_64_H
#define WEFT_UST_COMMIT_X86_64_H

#include <emmintrin.h>

#define WEFT_RSEQ_SIG 0x53053053
#define WEFT_ASM_TEXT_(x) #x
#define WEFT_ASM_TEXT(x) WEFT_ASM_TEXT_(x)

#define WEFT_RSEQ_BEGIN                                                        \
    WEFT_RSEQ_DESCRIPTOR                                                       \
    "leaq 3b(%%rip), %%rax\n\t"                                                \
    "movq %%rax, 8(%[rseq])\n\t"                                               \
    "1:\n\t"

/*
 * One instruction looks for the mark and arms the sequence: between two the thread could be preempted. The sequence begins directly
 * behind it: anywhere else outside of it the kernel would take the arming away unseen. No other CPU has to see the exchange.
 */
#define WEFT_RSEQ_BEGIN_MARKED                                                 \
    WEFT_RSEQ_DESCRIPTOR                                                       \
    "leaq weft_commit_marker(%%rip), %%rax\n\t"                                \
    "leaq 3b(%%rip), %%rcx\n\t"                                                \
    "cmpxchgq %%rcx, 8(%[rseq])\n\t"                                           \
    "1:\n\t"                                                                   \
    "jne %l[changed]\n\t"

/* A descriptor as the kernel wants them, of a sequence that nobody ever runs. */
#define WEFT_RSEQ_MARKER                                                       \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                  \
    "1: nop\n\t"                                                               \
    "2: .byte 0x0f, 0xb9, 0x3d\n\t"                                            \
    ".long " WEFT_ASM_TEXT(WEFT_RSEQ_SIG) "\n\t"                                 \
    "4: ud2\n\t"                                                               \
    ".popsection\n\t"                                                          \
    ".pushsection __rseq_cs, \"aw\"\n\t"                                       \
    ".balign 32\n\t"                                                           \
    ".globl weft_commit_marker\n\t"                                            \
    ".hidden weft_commit_marker\n\t"                                           \
    "weft_commit_marker:\n\t"                                                  \
    ".long 0, 0\n\t"                                                           \
    ".quad 1b, 2b - 1b, 4b\n\t"                                                \
    ".popsection\n\t"

#define WEFT_RSEQ_CHECK                                                        \
    "cmpl %[cpu], 4(%[rseq])\n\t"                                              \
    "jne %l[changed]\n\t"                                                      \
    "cmpq %[expected], (%[position])\n\t"                                      \
    "jne %l[changed]\n\t"                                                      \
    "cmpl %[generation], (%[on])\n\t"                                          \
    "jne %l[changed]\n\t"

#define WEFT_RSEQ_END                                                          \
    "movups %[slot], (%[idle])\n\t"                                            \
    "movq %[next], (%[position])\n\t"                                          \
    "2:\n\t"                                                                   \
    ".pushsection __rseq_failure, \"ax\"\n\t"                                  \
    ".byte 0x0f, 0xb9, 0x3d\n\t" /* ud1: the signature reads as its operand */ \
    ".long " WEFT_ASM_TEXT(WEFT_RSEQ_SIG) "\n\t"                                   \
    "4:\n\t"                                                                   \
    "jmp %l[aborted]\n\t"                                                      \
    ".popsection\n\t"

#define WEFT_RSEQ_INPUTS                                                                                                \
    [rseq] "r"(weft_rseq_area()), [cpu] "r"(c->cpu), [position] "r"(c->position), [expected] "r"(c->expected),          \
        [on] "r"(c->on), [generation] "r"(c->generation), [idle] "r"(c->idle), [next] "r"(c->next),                     \
        [slot] "x"(_mm_set_epi64x((long long)count, (long long)timestamp))

/*
 * Staged fields were stored in 4 and 8 byte pieces a moment ago: loads of 4 bytes are forwarded from the store buffer, wider
 * ones that span two stores would wait for the cache. Above this size whole strings dominate and the string copy wins.
 */
#define WEFT_COPY_WORDS_MAX 96u

static inline enum weft_commit_result weft_commit_words(const struct weft_commit *c, char *target, const char *source,
                                                        size_t length, uint64_t timestamp, uint64_t count)
{
    const size_t bytes = (length + 3) & ~(size_t)3;
    __asm__ volatile goto(
        WEFT_RSEQ_BEGIN_MARKED
        WEFT_RSEQ_CHECK
        "movq %[minus], %%rax\n\t"
        "5:\n\t"
        "movl (%[source], %%rax), %%ecx\n\t"
        "movl %%ecx, (%[target], %%rax)\n\t"
        "addq $4, %%rax\n\t"
        "jne 5b\n\t"
        WEFT_RSEQ_END
        :
        : WEFT_RSEQ_INPUTS, [source] "r"(source + bytes), [target] "r"(target + bytes), [minus] "r"(-bytes)
        : "memory", "cc", "rax", "rcx"
        : changed, aborted);
    return WEFT_COMMIT_DONE;
changed:
    return WEFT_COMMIT_CHANGED;
aborted:
    return WEFT_COMMIT_ABORTED;
}

static inline enum weft_commit_result weft_commit_string(const struct weft_commit *c, char *target, const char *source,
                                                         size_t length, uint64_t timestamp, uint64_t count)
{
    __asm__ volatile goto(
        WEFT_RSEQ_BEGIN_MARKED
        WEFT_RSEQ_CHECK
        "movq %[source], %%rsi\n\t"
        "movq %[target], %%rdi\n\t"
        "movq %[length], %%rcx\n\t"
        "rep movsb\n\t"
        WEFT_RSEQ_END
        :
        : WEFT_RSEQ_INPUTS, [source] "m"(source), [target] "m"(target), [length] "m"(length)
        : "memory", "cc", "rax", "rcx", "rsi", "rdi"
        : changed, aborted);
    return WEFT_COMMIT_DONE;
changed:
    return WEFT_COMMIT_CHANGED;
aborted:
    return WEFT_COMMIT_ABORTED;
}

static inline enum weft_commit_result weft_commit_record(const struct weft_commit *c, char *target, const char *source,
                                                         size_t length, uint64_t timestamp, uint64_t count)
{
    return length <= WEFT_COPY_WORDS_MAX ? weft_commit_words(c, target, source, length, timestamp, count)
                                         : weft_commit_string(c, target, source, length, timestamp, count);
}

/* The switch: the table entries `close` (end of the current sub-buffer) and `open` (the next one), then slot and position. */
static inline enum weft_commit_result weft_commit_switch(const struct weft_commit *c, struct weft_entry *close, uint32_t end_offset,
                                                         struct weft_entry *open, uint64_t sequence, uint64_t timestamp,
                                                         uint64_t count)
{
    __asm__ volatile goto(
        WEFT_RSEQ_BEGIN
        WEFT_RSEQ_CHECK
        "movq %[close], %%rax\n\t"
        "movl %[end], %%ecx\n\t"
        "movq %[stamp], %%rdx\n\t"
        "movq %%rdx, 24(%%rax)\n\t"
        "movl %%ecx, 32(%%rax)\n\t"
        "movq %[open], %%rax\n\t"
        "movq %[sequence], %%rcx\n\t"
        "movq %%rcx, (%%rax)\n\t"
        "movq %%rdx, 8(%%rax)\n\t"
        "movq %[count], %%rcx\n\t"
        "movq %%rcx, 16(%%rax)\n\t"
        WEFT_RSEQ_END
        :
        : WEFT_RSEQ_INPUTS, [close] "m"(close), [end] "m"(end_offset), [open] "m"(open), [sequence] "m"(sequence),
          [stamp] "m"(timestamp), [count] "m"(count)
        : "memory", "cc", "rax", "rcx", "rdx"
        : changed, aborted);
    return WEFT_COMMIT_DONE;
changed:
    return WEFT_COMMIT_CHANGED;
aborted:
    return WEFT_COMMIT_ABORTED;
}

#endif
