"""Object storage behind one seam: memory, a folder, S3 and compatible servers, Azure Blob."""
