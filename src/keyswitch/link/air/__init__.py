"""The modelled radio: rules of the air, controllers on it, a hub for other processes, a virtual clock."""
