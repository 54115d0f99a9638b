"""Writing of one's own accord: cadences of several steps and channels, and what follows a conversation gone quiet."""
