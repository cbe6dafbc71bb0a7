# The keeper: a program of its own, C11, nothing linked but libc.
KEEPER_OBJECTS := $(addprefix $(B)/keeper/,main.o launch.o processes.o deposits.o requests.o connections.o shutdown.o ready.o vault.o)
ALL += $(B)/weft-keeper
TESTS += $(B)/keeper/keeper_test

$(B)/weft-keeper: $(KEEPER_OBJECTS)
	$(CC) $(LDFLAGS_ALL) $^ -o $@

$(B)/keeper/keeper_test: $(addprefix $(B)/keeper/,keeper_test.o keeper_vault_test.o keeper_hostile_test.o test_keeper.o) | $(B)/weft-keeper
	$(CXX) $(LDFLAGS_ALL) $^ -o $@
