#define _GNU_SOURCE
#include "test/victim.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ust/clock.h"

#define RIP 16 /* in the words of PTRACE_GETREGS */

uintptr_t victim_points[VICTIM_POINTS_MAX];
const char *victim_point_function[VICTIM_POINTS_MAX];
int victim_point_count;

/* The instruction that a breakpoint stands on. */
static long text;

static const char *function_named(const char *const *functions, const char *name)
{
    for (; *functions; functions++) {
        const size_t length = strlen(*functions);
        if (strncmp(name, *functions, length) == 0 && (name[length] == '>' || name[length] == '.'))
            return *functions;
    }
    return NULL;
}

void victim_find_points(const char *const *functions)
{
    char command[256], line[512], name[256];
    snprintf(command, sizeof(command), "objdump -d --no-show-raw-insn -j .text /proc/%d/exe", (int)getpid());
    FILE *listing = popen(command, "r");
    const char *wanted = NULL;
    unsigned long address;
    while (listing && fgets(line, sizeof(line), listing)) {
        if (sscanf(line, "%lx <%255[^\n]", &address, name) == 2)
            wanted = function_named(functions, name);
        else if (wanted && sscanf(line, " %lx:", &address) == 1 && victim_point_count < VICTIM_POINTS_MAX) {
            victim_point_function[victim_point_count] = wanted;
            victim_points[victim_point_count++] = address;
        }
    }
    if (!listing || pclose(listing) != 0 || !victim_point_count) {
        printf("not ok - the instructions of weft_record can be listed (objdump)\n");
        exit(1);
    }
}

struct weft_clock_page *victim_clock_page(void)
{
    struct weft_clock_page *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    page->parameters[0] = (struct weft_clock_parameters){ weft_counter(), weft_clock_system(), 1ull << 31, 0 };
    page->valid = 1;
    return page;
}

/* As if the breakpoint had never been there. */
static void step_back(pid_t pid, uintptr_t point)
{
    struct { long long words[27]; } registers;
    ptrace(PTRACE_POKETEXT, pid, (void *)point, (void *)text);
    ptrace(PTRACE_GETREGS, pid, NULL, &registers);
    registers.words[RIP] -= 1;
    ptrace(PTRACE_SETREGS, pid, NULL, &registers);
}

static int to_breakpoint(pid_t pid, uintptr_t point)
{
    int status;
    text = ptrace(PTRACE_PEEKTEXT, pid, (void *)point, NULL);
    ptrace(PTRACE_POKETEXT, pid, (void *)point, (void *)((text & ~0xffl) | 0xcc));
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    return waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
}

int victim_run_on(pid_t pid, uintptr_t from, uintptr_t to)
{
    step_back(pid, from);
    return to_breakpoint(pid, to);
}

int victim_run_to(pid_t pid, uintptr_t point, int arrival)
{
    int status;
    waitpid(pid, &status, 0);
    for (;;) {
        if (!to_breakpoint(pid, point))
            return 0;
        if (--arrival == 0)
            return 1;
        /* Past it: one step without the breakpoint. Inside the sequence that restarts the sequence, which arrives again. */
        step_back(pid, point);
        ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
            return 0;
    }
}

int victim_go_on(pid_t pid, uintptr_t point)
{
    int status;
    step_back(pid, point);
    ptrace(PTRACE_CONT, pid, NULL, NULL);
    return waitpid(pid, &status, 0) == pid ? status : -1;
}

void victim_kill(pid_t pid)
{
    int status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status) && !WIFEXITED(status))
        ;
}
