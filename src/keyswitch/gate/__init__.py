"""The rules at run time: the mode machine and the one door in front of every command."""
