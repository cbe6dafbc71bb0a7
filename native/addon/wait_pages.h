/* The pages on which applications wait for a session daemon: /dev/shm/weft-wait-UID, whose first word is a futex. */
#ifndef WEFT_ADDON_WAIT_PAGES_H
#define WEFT_ADDON_WAIT_PAGES_H

#include <sys/types.h>

#include <string>

namespace weft_addon {

/* The page of `uid`; for root the pages of all users. A file that is not what its name says is passed over. Returns how many
 * pages were bumped. */
unsigned wake_wait_pages(uid_t uid, const std::string &folder = "/dev/shm");

}  // namespace weft_addon

#endif
