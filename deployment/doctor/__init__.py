"""`covey doctor`: checks of a project on this machine, each with the mend of what it finds. Nothing is changed."""
