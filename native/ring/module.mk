# The reader's side of the rings. No napi.h here: the engine is tested, fuzzed and sanitized without Node.
RING_OBJECTS := $(addprefix $(B)/ring/,set_map.o packet.o stream_files.o gather.o ring_reader.o)
RING_TEST_OBJECTS := $(RING_OBJECTS) $(B)/ring/test_set.o
TESTS += $(B)/ring/ring_reader_test

$(B)/ring/%_test: $(B)/ring/%_test.o $(RING_TEST_OBJECTS)
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread
