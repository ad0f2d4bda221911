"""The console: serves the web app that `web/` is built into. It knows no noun of the domain: the app in the
browser calls the public API like any other client."""
