"""The law of a vector whose length has the loss."""
