"""Bad weather on real sockets, real servers, real processes; and promises that hold in it."""
