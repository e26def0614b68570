"""The operations on virtual time, against a service that loses, delays, repeats and reorders."""
