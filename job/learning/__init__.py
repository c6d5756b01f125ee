"""`recloop learn`: it follows the log, trains candidates, and moves the registry's pointer where the gate lets them."""
