"""The pure centre: states, events, decisions and ports. No input or output happens here."""
