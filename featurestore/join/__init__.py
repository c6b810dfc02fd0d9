"""Point-in-time joins of labels with the history of views."""
