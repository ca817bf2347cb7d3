"""A small network and the images it is made for."""

from lookalike.images.resizing import ImageSettings

MODEL = {"name": "cnn4", "embedding_dim": 16, "batch_norm": True, "normalize": True}
IMAGE = ImageSettings(32, "squash", "white", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "fast")
