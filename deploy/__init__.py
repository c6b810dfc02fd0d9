"""What operators deploy: files for other programs, and the code that writes some of them."""
