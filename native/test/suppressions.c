/*
 * What ThreadSanitizer reports and what is meant so; linked into tests, so no environment variable can be forgotten.
 *
 * weft_channel_unmap: it maps private pages over a detached channel's rings, while a thread that was late may still read the old
 * addresses, stage a record with what it read, and then find in its sequence (or under the lock) that its target is off. It
 * reads the one or the other page, whole, and commits nothing (channel.h, registry.h). ThreadSanitizer takes the mmap() for a
 * write of all these bytes. Nothing else is suppressed: what restartable sequences store it does not see, and so does not report.
 */
#if defined(__SANITIZE_THREAD__)
const char *__tsan_default_suppressions(void);
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void)
{
    return "race:^weft_channel_unmap$\n";
}
#else
typedef int weft_no_suppressions;
#endif
