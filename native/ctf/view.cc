#include "ctf/view.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "ctf/filter.h"

namespace weft::ctf {

namespace {

constexpr uint32_t kPlanVersion = 1;
constexpr size_t kFlushAt = 256 * 1024;

enum PlanFlag : uint32_t { kJson = 1, kSeconds = 2, kDate = 4, kGmt = 8, kCycles = 16, kNoDelta = 32, kColour = 64 };

/* The fd may be one that does not block. */
Failure write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = write(fd, text.data(), text.size());
        if (n >= 0) {
            text.remove_prefix(static_cast<size_t>(n));
        } else if (errno == EAGAIN) {
            pollfd one = {fd, POLLOUT, 0};
            poll(&one, 1, -1);
        } else if (errno != EINTR) {
            return failure(errno, "writing the events");
        }
    }
    return {};
}

/* What was seen of one stream, whose packets may lie in several files. */
struct Stream {
    bool seen = false;
    uint64_t sequence = 0, discarded = 0;
    int64_t end = 0;
    Loss loss;
};

class View {
public:
    View(ViewPlan *plan, ViewResult *result) : plan_(*plan), result_(*result), printer_(plan->style) {}

    void run() {
        find_first_packets();
        while (!heap_.empty() && result_.events < plan_.limit && !result_.output) {
            const Entry top = heap_.front();
            if (top.time > plan_.end)
                break;
            if (!top.dormant && top.time >= plan_.begin && !show(top.at))
                drop();
            else
                advance(top);
            if (text_.size() >= kFlushAt)
                flush();
        }
        flush();
        for (auto &one : streams_)
            if (one.second.loss.events > 0 || one.second.loss.packets > 0)
                result_.losses.push_back(std::move(one.second.loss));
    }

private:
    struct Entry {
        int64_t time;
        uint32_t order;
        uint32_t at;
        bool dormant; /* its file is not open yet */
    };
    struct Later {
        bool operator()(const Entry &a, const Entry &b) const { return a.time != b.time ? a.time > b.time : a.order > b.order; }
    };
    using Key = std::tuple<std::string, uint64_t, uint64_t>;

    Source &source(uint32_t at) { return *plan_.sources[at]; }
    Key key(Source &one) const {
        /* Without a uuid each file is a stream of its own. */
        return {one.table().uuid.empty() ? one.path() : one.table().uuid, one.packet().stream_id, one.packet().stream_instance};
    }

    void find_first_packets() {
        std::vector<std::pair<Key, uint32_t>> found;
        for (uint32_t i = 0; i < plan_.sources.size(); i++) {
            Source &one = source(i);
            const Step step = one.open();
            if (step == Step::fault)
                failed(i);
            else if (step == Step::packet)
                found.emplace_back(key(one), i);
            one.close();
        }
        std::sort(found.begin(), found.end());
        for (uint32_t order = 0; order < found.size(); order++) {
            const uint32_t at = found[order].second;
            heap_.push_back({source(at).packet().begin, order, at, true});
        }
        std::make_heap(heap_.begin(), heap_.end(), Later());
        packet_texts_.resize(plan_.sources.size());
    }

    void failed(uint32_t at) {
        const Source &one = source(at);
        result_.faults.push_back({one.path(), one.fault_at(), one.fault()});
    }

    /* The top is at its end. */
    void drop() {
        Source &one = source(heap_.front().at);
        if (!one.fault().empty())
            failed(heap_.front().at);
        one.close();
        std::pop_heap(heap_.begin(), heap_.end(), Later());
        heap_.pop_back();
    }

    void replace_top(const Entry &entry) {
        const size_t count = heap_.size();
        const Later later;
        size_t hole = 0;
        for (size_t child = 1; child < count; child = 2 * hole + 1) {
            if (child + 1 < count && later(heap_[child], heap_[child + 1]))
                child++;
            if (!later(entry, heap_[child]))
                break;
            heap_[hole] = heap_[child];
            hole = child;
        }
        heap_[hole] = entry;
    }

    bool show(uint32_t at) {
        const Verdict verdict = judge_(&source(at));
        if (verdict != Verdict::kept)
            return verdict == Verdict::dropped;
        if (!printer_.print(&source(at), packet_texts_[at], &text_))
            return false;
        result_.events++;
        return true;
    }

    void advance(const Entry &top) {
        Source &one = source(top.at);
        for (Step step = top.dormant ? one.open() : one.next();; step = one.next()) {
            if (step == Step::record)
                return replace_top({one.time(), top.order, top.at, false});
            if (step != Step::packet || !entered(top.at))
                return drop();
        }
    }

    bool entered(uint32_t at) {
        Source &one = source(at);
        account(one);
        if (one.packet().end < plan_.begin) {
            one.skip_packet();
            return true;
        }
        return printer_.packet_text(&one, &packet_texts_[at]);
    }

    void account(Source &one) {
        const PacketFacts &packet = one.packet();
        Stream &stream = streams_[key(one)];
        uint64_t events = 0, packets = 0;
        if (stream.seen) {
            events = packet.discarded > stream.discarded ? packet.discarded - stream.discarded : 0;
            packets = packet.has_sequence && packet.sequence > stream.sequence + 1 ? packet.sequence - stream.sequence - 1 : 0;
        } else if (packet.has_sequence && packet.sequence == 0) {
            events = packet.discarded;
        }
        if (events > 0 || packets > 0) {
            stream.loss.path = one.path();
            stream.loss.events += events;
            stream.loss.packets += packets;
            stream.loss.begin = std::min(stream.loss.begin, stream.seen ? stream.end : packet.begin);
            stream.loss.end = std::max(stream.loss.end, packets > 0 && events == 0 ? packet.begin : packet.end);
        }
        stream.seen = true;
        stream.sequence = packet.sequence;
        stream.discarded = packet.discarded;
        stream.end = packet.end;
    }

    void flush() {
        if (!result_.output)
            result_.output = write_all(plan_.fd, text_.view());
        text_.cut(0);
    }

    ViewPlan &plan_;
    ViewResult &result_;
    Printer printer_;
    Judge judge_;
    Text text_{2 * kFlushAt};
    std::vector<Entry> heap_;
    std::vector<std::string> packet_texts_;
    std::map<Key, Stream> streams_;
};

void read_style(uint32_t flags, PrintStyle *style) {
    style->json = flags & kJson;
    style->clock = flags & kCycles ? PrintStyle::Clock::cycles : flags & kSeconds ? PrintStyle::Clock::seconds : PrintStyle::Clock::time;
    style->date = flags & kDate;
    style->gmt = flags & kGmt;
    style->delta = !(flags & kNoDelta);
    style->colour = flags & kColour;
}

}  // namespace

bool read_plan(const uint8_t *bytes, size_t length, ViewPlan *plan) {
    TableBytes in(bytes, length);
    if (in.u32() != kPlanVersion)
        return false;
    plan->fd = static_cast<int>(in.u32());
    read_style(in.u32(), &plan->style);
    plan->begin = static_cast<int64_t>(in.u64());
    plan->end = static_cast<int64_t>(in.u64());
    plan->limit = in.u64();
    std::set<std::string> shown;
    for (uint32_t count = in.u32(); count > 0 && in.ok(); count--)
        shown.insert(in.text());
    for (uint32_t traces = in.u32(); traces > 0 && in.ok(); traces--) {
        plan->tables.emplace_back();
        if (!read_table(&in, shown, &plan->tables.back()) || !read_filter(&in, &plan->tables.back()))
            return false;
        const bool grows = in.u32() != 0;
        for (uint32_t files = in.u32(); files > 0 && in.ok(); files--)
            plan->sources.push_back(std::make_unique<Source>(plan->tables.back(), in.text(), grows));
    }
    return in.ok() && in.done();
}

void run_view(ViewPlan *plan, ViewResult *result) {
    View(plan, result).run();
}

}  // namespace weft::ctf
