"""Network faults on real sockets, servers and processes, and what must hold under them."""
