"""Ways to stream a chat completion: `plinth.gateway.responses.ChatStream`."""
