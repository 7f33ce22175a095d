"""The person's door: the starter's commands. They read, ask and show; what is decided is decided elsewhere."""
