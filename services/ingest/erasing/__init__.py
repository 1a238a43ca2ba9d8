"""Erasing: from a request until nothing of the person is found any more, wherever it is interrupted."""
