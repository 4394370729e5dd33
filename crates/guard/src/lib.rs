//! The gate: the one process that may change the firewall.
