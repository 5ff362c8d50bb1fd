"""The textbook made visible: variants side by side, and how gradients travel, on your own data."""
