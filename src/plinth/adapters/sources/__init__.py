"""Where model files come from: installed packages, local folders, model hubs, remote providers."""
