"""What every slice stands on: database, jobs, events, blobs, errors, settings, clock, ids.

Nothing in here knows a noun of the domain (no model, file, project or tuning job).
"""
