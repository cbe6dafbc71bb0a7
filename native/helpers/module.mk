# Preload helpers. They find libweft.so.0 beside themselves.
ALL += $(B)/libweft-libc.so $(B)/libweft-pthread.so
$(B)/libweft-%.so: $(B)/helpers/%.o
	$(CC) -shared $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN' -Wl,-z,now $^ -o $@ -ldl -lpthread
$(B)/helpers/libc.o: CFLAGS_ALL += -fno-builtin
