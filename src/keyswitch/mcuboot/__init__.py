"""What is written and what boots: image, flash, slot and trailer, swap, bootloader."""
