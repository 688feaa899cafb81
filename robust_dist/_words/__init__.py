"""What is said to a user: text that a screen can show, numbers, lists and nearest names."""
