"""`plinth demo`: the whole loop once, on this machine, through the official `openai` SDK.

What the demo measures is what any client gets: it knows the platform only by its public port.
"""
