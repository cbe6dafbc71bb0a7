/* The page on which applications wait for a session daemon: a futex in /dev/shm/weft-wait-UID, which every daemon that could
 * serve this user bumps when it is ready. */
#ifndef WEFT_UST_WAIT_PAGE_H
#define WEFT_UST_WAIT_PAGE_H

#include <stdint.h>
#include <sys/types.h>

/* The page's word, NULL when there can be none (no /dev/shm, or somebody else's file of that name). */
uint32_t *weft_wait_page_open(uid_t uid);

void weft_wait_page_close(uint32_t *word);

/* Sleeps until the word is no longer `seen`, or the time is over. */
void weft_wait_page_sleep(uint32_t *word, uint32_t seen, int milliseconds);

#endif
