"""What is on offer and the models that make it."""
