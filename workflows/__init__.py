"""When things happen: durable decisions, replayable to the letter."""
