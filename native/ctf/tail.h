/* What is appended to the stream files of one trace, decoded as it comes, for those who watch. */
#ifndef WEFT_CTF_TAIL_H
#define WEFT_CTF_TAIL_H

#include <map>
#include <memory>

#include "ctf/filter.h"
#include "ctf/printer.h"

namespace weft::ctf {

struct TailRecord {
    int64_t time; /* ns since 1970 */
    std::string name;
    std::string text; /* the line without its time */
    std::string json;
};

struct TailNews {
    std::vector<TailRecord> records; /* by time */
    uint64_t left_out = 0;           /* records beyond the limit */
    uint64_t packets_left_out = 0;   /* whole ones: the decoder was too far behind */
    std::vector<std::string> faults; /* files that are followed no more */
};

class Tail {
public:
    /* False: these bytes are no table. Files go on where they were. */
    bool lay_out(const uint8_t *bytes, size_t length);
    /* `from_start`: all of the file, else what comes from now on. Asked again for the same path nothing changes. */
    void follow(const std::string &path, bool from_start);
    void read(uint64_t limit, TailNews *news);

private:
    struct File {
        std::unique_ptr<Source> source;
        std::string packet_text, packet_json;
        bool from_start = true, opened = false, failed = false;
    };

    Step first_step(File *file);
    void read_file(const std::string &path, File *file, uint64_t limit, TailNews *news);
    bool passed_over(const std::string &path, File *file, TailNews *news);
    bool entered(File *file, TailNews *news);

    std::unique_ptr<Table> table_;
    std::map<std::string, File> files_;
    Judge judge_;
    Printer text_{PrintStyle::bare()}, json_{PrintStyle::as_json()};
};

}  // namespace weft::ctf

#endif
