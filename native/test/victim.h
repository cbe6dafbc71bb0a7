/*
 * A process that a test stops at one instruction of the recording path, by a breakpoint: single-stepping a restartable sequence only
 * restarts it. The test finds the instructions by the addresses that objdump prints, so it is linked to fixed addresses.
 */
#ifndef WEFT_TEST_VICTIM_H
#define WEFT_TEST_VICTIM_H

#include <stdint.h>
#include <sys/types.h>

#define VICTIM_POINTS_MAX 2000

extern uintptr_t victim_points[VICTIM_POINTS_MAX];
extern const char *victim_point_function[VICTIM_POINTS_MAX];
extern int victim_point_count;

/* Lists the instructions of these functions (ended by NULL), and of the parts that the compiler split from them; ends the test if it
 * cannot. */
void victim_find_points(const char *const *functions);

/* A clock page for this process and its children. */
struct weft_clock_page *victim_clock_page(void);

/* Lets a victim that stopped itself run to its `arrival`-th arrival at a point. 0: it ended before. */
int victim_run_to(pid_t pid, uintptr_t point, int arrival);

/* The same from one point, where it stands, to the next arrival at another. */
int victim_run_on(pid_t pid, uintptr_t from, uintptr_t to);

/* Lets a victim that stands at a point run to its end. Returns its status as waitpid() has it. */
int victim_go_on(pid_t pid, uintptr_t point);

void victim_kill(pid_t pid);

#endif
