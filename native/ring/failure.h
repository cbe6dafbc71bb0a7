/* An expected failure of the native side: an errno value and a sentence that names the cause. */
#ifndef WEFT_RING_FAILURE_H
#define WEFT_RING_FAILURE_H

#include <cstring>
#include <string>

namespace weft {

struct Failure {
    int error = 0;
    std::string message;

    explicit operator bool() const { return error != 0; }
};

inline Failure failure(int error, const std::string &what) {
    return Failure{error, what + ": " + std::strerror(error)};
}

}  // namespace weft

#endif
