"""The network and its search: all that training and serving share."""
