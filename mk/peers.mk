# Real servers, real clients, a real Bluetooth stack: what they need is set up once, outside the repository where it is large.
.PHONY: test-peers bluez

test-peers: $(READY)  ## real Zephyr and MCUboot servers, real SMP clients, against each other and against ours
	@tools/peers/setup
	@$(BIN)/pytest -q --peers -m "peers and not deep"

bluez: $(READY)  ## our device as a central on real BlueZ meets it; the first time it builds a small Linux
	@tools/bluez/test
