"""How peers reach the device: BLE, UDP, serial."""
