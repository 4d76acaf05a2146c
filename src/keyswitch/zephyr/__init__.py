"""What a Zephyr or nRF Connect SDK build says of itself: configuration, partitions, the bootloader that it made."""
