"""Point-in-time joins of labels with views' histories."""
