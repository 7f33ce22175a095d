"""What an experiment does: thin, retriable steps. Each translates, calls one service, returns."""
