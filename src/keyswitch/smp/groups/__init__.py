"""One module for each SMP management group: command ids, codes, and what requests and answers hold."""
