"""The web page of the service: files that a browser runs as they stand, and how they are sent."""
