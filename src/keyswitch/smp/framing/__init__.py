"""How SMP packets travel in each transport: packets to pieces, pieces however cut back to packets."""
