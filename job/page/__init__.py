"""The page on which people watch feedback work: rendered here, kept live by server-sent events."""
