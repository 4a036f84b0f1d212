"""The fan-out as other servers do it; what anybody sends goes to all who are connected."""
