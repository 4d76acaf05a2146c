"""How bytes travel: ports, the modelled air, Bumble, bleak, UDP and serial."""
