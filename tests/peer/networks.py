"""All networks of this folder, by name."""

from tests.peer import classification, habits, images, sequences

NETWORKS = {item.name: item for part in (classification, images, sequences, habits) for item in part.NETWORKS}
