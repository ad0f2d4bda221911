"""The composition root: settings -> adapters -> services. The only place that names adapters."""
