"""Object storage behind one seam: memory, a folder, S3 and what speaks like it."""
