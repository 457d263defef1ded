"""Golden files and Hugging Face datasets, read row by row into cases."""
