# The Node-API module, built without node-gyp: the headers come with the pinned Node.
ADDON_OBJECTS := $(addprefix $(B)/addon/,module.o environment.o arguments.o reader_calls.o snapshot_calls.o map_calls.o seqpacket.o unix_socket.o system_calls.o \
    wait_pages.o view_calls.o)
ALL += $(B)/weft.node
$(ADDON_OBJECTS): EXTRA_CXXFLAGS := -isystem $(NODE_INCLUDE) -DNAPI_VERSION=9 -fno-exceptions
# ctf/module.mk and ring/module.mk, which say what CTF_OBJECTS and RING_OBJECTS are, are read after this file.
.SECONDEXPANSION:
$(B)/weft.node: $(ADDON_OBJECTS) $$(CTF_OBJECTS) $$(RING_OBJECTS)
	$(CXX) -shared $(LDFLAGS_ALL) $^ -o $@ -pthread

TESTS += $(B)/addon/unix_socket_test
$(B)/addon/unix_socket_test: $(addprefix $(B)/addon/,unix_socket_test.o unix_socket.o wait_pages.o)
	$(CXX) $(LDFLAGS_ALL) $^ -o $@ -pthread
