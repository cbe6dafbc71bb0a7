# The reader's side of the rings. No napi.h here: the engine is tested, fuzzed and sanitized without Node.
RING_OBJECTS := $(addprefix $(B)/ring/,format.o set_map.o packet.o stream_files.o gather.o ring_reader.o sleeper.o \
    reader_news.o reader_thread.o memory_limit.o ring_set.o clock_servo.o clock_page.o)
RING_TEST_OBJECTS := $(RING_OBJECTS) $(B)/ring/test_set.o
TESTS += $(addprefix $(B)/ring/,ring_reader_test reader_thread_test hostile_test reader_death_test \
    clock_test ring_set_test)

$(B)/ring/%_test: $(B)/ring/%_test.o $(RING_TEST_OBJECTS)
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread
.SECONDARY: $(RING_TEST_OBJECTS)
