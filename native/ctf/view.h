/* The records of many streams by time, printed as they come; memory does not grow with the traces. */
#ifndef WEFT_CTF_VIEW_H
#define WEFT_CTF_VIEW_H

#include <deque>
#include <map>
#include <memory>
#include <tuple>

#include "ctf/printer.h"
#include "ring/failure.h"

namespace weft::ctf {

struct ViewPlan {
    int fd = -1;
    PrintStyle style;
    int64_t begin = INT64_MIN, end = INT64_MAX; /* ns since 1970, both included */
    uint64_t limit = UINT64_MAX;
    std::deque<Table> tables;
    std::vector<std::unique_ptr<Source>> sources;
};

/* The bytes that ctf/view-plan.ts writes. */
bool read_plan(const uint8_t *bytes, size_t length, ViewPlan *plan);

/* Of one stream: what its packets say was lost. */
struct Loss {
    std::string path; /* of a file in which it shows */
    uint64_t events = 0, packets = 0;
    int64_t begin = INT64_MAX, end = INT64_MIN; /* ns */
};

struct ViewFault {
    std::string path;
    uint64_t offset = 0;
    std::string message;
};

struct ViewResult {
    uint64_t events = 0;
    std::vector<Loss> losses;
    std::vector<ViewFault> faults; /* one of a file at most: it is left there */
    Failure output;                /* EPIPE: nobody reads on */
};

void run_view(ViewPlan *plan, ViewResult *result);

}  // namespace weft::ctf

#endif
