/*
 * Access to memory that another process may write at any moment: every word is read exactly once, by an atomic load. A value
 * that was checked must not be loaded again.
 */
#ifndef WEFT_RING_SHARED_H
#define WEFT_RING_SHARED_H

/* Fuzzing changes the memory before every read of it, so a value that is read twice is caught. */
#ifdef WEFT_BEFORE_LOAD
void WEFT_BEFORE_LOAD();
#else
#define WEFT_BEFORE_LOAD() (void)0
#endif

namespace weft {

template <typename T>
inline T load(const T *word) {
    WEFT_BEFORE_LOAD();
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* Later reads of shared memory stay behind this one. */
template <typename T>
inline T load_acquire(const T *word) {
    WEFT_BEFORE_LOAD();
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

template <typename T, typename V>
inline void store(T *word, V value) {
    __atomic_store_n(word, static_cast<T>(value), __ATOMIC_RELAXED);
}

/* Earlier writes are visible to whoever acquires this one. */
template <typename T, typename V>
inline void store_release(T *word, V value) {
    __atomic_store_n(word, static_cast<T>(value), __ATOMIC_RELEASE);
}

/* A full fence: store, then fence, then load of what the other side stores. */
inline void fence() {
#if defined(__SANITIZE_THREAD__)
    static int dummy; /* ThreadSanitizer knows no fences; a read-modify-write orders as well */
    __atomic_fetch_add(&dummy, 1, __ATOMIC_SEQ_CST);
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

}  // namespace weft

#endif
