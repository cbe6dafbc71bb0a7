#define _GNU_SOURCE
#include "ust/stage.h"

#include <stdint.h>
#include <sys/mman.h>

#include "weft/abi.h"

/*
 * A few blocks are kept; each slot holds one or is empty, and is taken and filled with one atomic exchange, so a signal handler
 * that comes in between finds the next slot. mmap and munmap are plain system calls: no lock, no malloc.
 */
#define KEPT 8
#define BLOCK_BYTES (64u * 1024)

struct block {
    size_t bytes; /* of the mapping */
    char padding[64 - sizeof(size_t)];
};

static struct block *kept[KEPT];

static struct block *map_block(size_t bytes)
{
    struct block *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    block->bytes = bytes;
    return block;
}

static struct block *take_kept(void)
{
    for (int i = 0; i < KEPT; i++) {
        struct block *block = __atomic_exchange_n(&kept[i], NULL, __ATOMIC_ACQ_REL);
        if (block)
            return block;
    }
    return NULL;
}

char *weft_stage_take(size_t length)
{
    const size_t overhead = sizeof(struct block) + WEFT_STAGE_HEADROOM + WEFT_STAGE_TAIL;
    if (length > SIZE_MAX - overhead - BLOCK_BYTES)
        return NULL;
    const size_t bytes = (length + overhead + BLOCK_BYTES - 1) & ~(size_t)(BLOCK_BYTES - 1);
    struct block *block = bytes == BLOCK_BYTES ? take_kept() : NULL;
    if (!block)
        block = map_block(bytes);
    return block ? (char *)(block + 1) + WEFT_STAGE_HEADROOM : NULL;
}

void weft_stage_give(char *payload)
{
    struct block *block = (struct block *)(payload - WEFT_STAGE_HEADROOM) - 1;
    for (int i = 0; i < KEPT && block->bytes == BLOCK_BYTES; i++) {
        struct block *empty = NULL;
        if (__atomic_compare_exchange_n(&kept[i], &empty, block, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    }
    munmap(block, block->bytes);
}
