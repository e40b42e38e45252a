"""The gateway's HTTP: requests in, answers of the service out. Pure ASGI; Ray Serve is in `app`."""
