"""The changes of the schema, in the order that their `down_revision` tells."""
